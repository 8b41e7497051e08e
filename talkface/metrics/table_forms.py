"""A table in Markdown, LaTeX (booktabs) and HTML, and all its forms as files."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

from talkface.io.whole import write_whole
from talkface.metrics.tables import Cell, Grid, Table

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "–": "--",
}  # fmt: skip
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title><style>
body {{ margin: 3rem auto; max-width: 68rem; padding: 0 1.25rem; font: 1rem/1.5 ui-sans-serif, system-ui, sans-serif }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }} caption {{ text-align: left; font-weight: 600;
  padding-bottom: .8rem }} th, td {{ padding: .35rem .7rem; text-align: right; white-space: nowrap }}
th:first-child, td:first-child {{ text-align: left }} thead tr > * {{ border-top: 2px solid; border-bottom: 1px solid }}
tbody tr:last-child > * {{ border-bottom: 2px solid }} tr.block th {{ font-weight: 400; font-style: italic;
  border-top: 1px solid; text-align: left }} tbody th {{ font-weight: 400 }}
tbody:first-of-type tr.block th {{ border: 0 }}
.notes {{ color: gray; font-size: .9rem; max-width: 60rem }}
</style></head><body>{body}</body></html>
"""


def markdown(table: Table) -> str:
    """A pipe table; the best in bold, footnotes beneath."""
    grid = table.grid()
    lines = ["| " + " | ".join(["", *(_md_cell(cell) for cell in grid.headings)]) + " |"]
    lines.append("|---|" + "---:|" * len(grid.headings))
    for line in grid.lines:
        if line.cells:
            cells = [_md(line.title), *(_md_cell(cell) for cell in line.cells)]
        else:
            cells = [f"*{_md(line.title)}*{_md_mark(line.mark)}", *("" for _ in grid.headings)]
        lines.append("| " + " | ".join(cells) + " |")
    head = [f"**{_md(grid.title)}**", ""] if grid.title else []
    notes = ["", *(f"{_md_mark(letter)} {_md(text)}  " for letter, text in grid.notes)] if grid.notes else []
    return "\n".join([*head, *lines, *notes]) + "\n"


def latex(table: Table) -> str:
    """A `tabular` of the booktabs package in a `table`, with its footnotes; needs `\\usepackage{booktabs}`."""
    grid = table.grid()
    width = len(grid.headings) + 1
    rows: list[str] = []
    for line in grid.lines:
        if line.cells:
            rows.append(" & ".join([_tex(line.title), *(_tex_cell(cell) for cell in line.cells)]) + r" \\")
        else:
            if rows:
                rows.append(r"\midrule")
            rows.append(rf"\multicolumn{{{width}}}{{l}}{{\emph{{{_tex(line.title)}}}{_tex_mark(line.mark)}}} \\")
    notes = [rf"{_tex_mark(letter)}\,{_tex(text)}\\" for letter, text in grid.notes]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(grid.title)}}}",
            rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}",
            r"\toprule",
            " & ".join(["", *(_tex_cell(cell) for cell in grid.headings)]) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            *([r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize", *notes, r"\end{minipage}"] if notes else []),
            r"\end{table}",
            "",
        ]
    )


def html(table: Table) -> str:
    """A `<table>` with its footnotes, to be put into a page."""
    grid = table.grid()
    head = "".join(f'<th scope="col">{_html_cell(cell)}</th>' for cell in grid.headings)
    bodies = [[]] if not grid.lines or grid.lines[0].cells else []  # type: list[list[str]]
    for line in grid.lines:
        if line.cells:
            cells = "".join(f"<td>{_html_cell(cell)}</td>" for cell in line.cells)
            bodies[-1].append(f'<tr><th scope="row">{escape(line.title)}</th>{cells}</tr>')
        else:
            span = f'colspan="{len(grid.headings) + 1}" scope="rowgroup"'
            bodies.append([f'<tr class="block"><th {span}>{escape(line.title)}{_html_mark(line.mark)}</th></tr>'])
    body = "".join(f"<tbody>{''.join(rows)}</tbody>" for rows in bodies)
    notes = "".join(f"<p>{_html_mark(letter)} {escape(text)}</p>" for letter, text in grid.notes)
    return (
        f'<table class="scores"><caption>{escape(grid.title)}</caption><thead><tr><td></td>{head}</tr></thead>{body}'
        f"</table>" + (f'<div class="notes">{notes}</div>' if notes else "")
    )


def write_table(table: Table, folder: Path, name: str = "table") -> None:
    """Write `name`.md, .tex, .html (a page of its own) and .json into `folder`.

    Raises:
        UserError: the folder cannot be written.
    """
    page = _PAGE.format(title=escape(table.title), body=html(table))
    data = json.dumps(table.as_json(), indent=1, allow_nan=False)
    for ending, text in (("md", markdown(table)), ("tex", latex(table)), ("html", page), ("json", data)):
        write_whole(folder / f"{name}.{ending}", lambda file, text=text: file.write(text.encode()))  # type: ignore[misc]


def _md(text: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", text)


def _md_mark(letter: str) -> str:
    return f"<sup>{letter}</sup>" if letter else ""


def _md_cell(cell: Cell) -> str:
    text = _md(cell.text)
    return (f"**{text}**" if cell.best else text) + _md_mark(cell.mark)


def _tex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _tex_mark(letter: str) -> str:
    return rf"\textsuperscript{{{letter}}}" if letter else ""


def _tex_cell(cell: Cell) -> str:
    text = _tex(cell.text)
    return (rf"\textbf{{{text}}}" if cell.best else text) + _tex_mark(cell.mark)


def _html_mark(letter: str) -> str:
    return f"<sup>{letter}</sup>" if letter else ""


def _html_cell(cell: Cell) -> str:
    text = escape(cell.text)
    return (f"<b>{text}</b>" if cell.best else text) + _html_mark(cell.mark)


__all__ = ["Grid", "html", "latex", "markdown", "write_table"]
