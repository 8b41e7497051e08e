"""Tables: which number is marked, what is footnoted, and that every form says the same."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from talkface.metrics.published import TABLES, published
from talkface.metrics.table_forms import html, latex, markdown, write_table
from talkface.metrics.tables import Block, Column, Entry, Table, table
from talkface.types import Score

PSNR = Column("psnr", title="PSNR", digits=2)
LMD = Column("lmd", "mouth", "LMD", higher_is_better=False)
RATE = Column("blinks", "eyes", higher_is_better=None, digits=1)


def entry(title: str, psnr: float | None, lmd: float | None, ranked: bool = True, backend: str = "mesh") -> Entry:
    why = "no face" if lmd is None else ""
    scores = [Score("psnr", psnr, True, 9), Score("lmd", lmd, False, 9, "mouth", backend, why)]
    return Entry(title, [*scores, Score("blinks", 17.0, True, 9, "eyes")], ranked)


ROWS = [
    entry("truth", 99.0, 0.0, ranked=False),
    entry("our_method & co", 30.004, 2.5),
    entry("other", 30.001, 2.4),
    entry("lost", 20.0, None),
]


def marked(made: Table, column: Column, block: int = 0) -> set[str]:
    return set(made.best(made.blocks[block], column))


def test_best_by_direction_at_the_digits_shown() -> None:
    made = table("t", [PSNR, LMD, RATE], ROWS)
    assert marked(made, PSNR) == {"our_method & co", "other"}, "30.00 both: a tie at what the reader sees"
    assert marked(made, LMD) == {"other"}, "lower is better; the truth is not ranked"
    assert marked(made, RATE) == set()


def test_no_best_between_different_networks_or_alone() -> None:
    mixed = [entry("a", 1.0, 2.0), entry("b", 2.0, 1.0, backend="another detector")]
    assert marked(table("t", [LMD], mixed), LMD) == set()
    assert marked(table("t", [LMD], mixed[:1]), LMD) == set()
    text = markdown(table("t", [LMD], mixed))
    assert "by mesh" in text and "by another detector" in text


def test_markdown_by_hand() -> None:
    made = table("T", [PSNR, LMD], ROWS[1:], [Block("Published: X", [entry("theirs", 31.0, 2.0)], "another video")])
    assert markdown(made) == (
        "**T**\n\n"
        "|  | PSNR ↑ | LMD ↓<sup>a</sup> |\n"
        "|---|---:|---:|\n"
        "| *Measured here* |  |  |\n"
        "| our\\_method & co | **30.00** | 2.500 |\n"
        "| other | **30.00** | **2.400** |\n"
        "| lost | 20.00 | –<sup>b</sup> |\n"
        "| *Published: X*<sup>c</sup> |  |  |\n"
        "| theirs | 31.00 | 2.000<sup>a</sup> |\n"
        "\n<sup>a</sup> by mesh  \n<sup>b</sup> no face  \n<sup>c</sup> not comparable: another video  \n"
    )


class Cells(HTMLParser):
    """Texts of the table's cells, bold ones marked."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "b":
            self.rows[-1][-1] += "*"
        if tag == "sup" and self.rows:
            self.rows[-1][-1] += "^"

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_html_and_latex_say_the_same() -> None:
    made = table("Rows <1 & 2>", [PSNR, LMD], ROWS)
    parser = Cells()
    parser.feed(html(made).split("</table>")[0])
    assert parser.rows[2] == ["our_method & co", "*30.00", "2.500"]
    assert parser.rows[3] == ["other", "*30.00", "*2.400"]
    assert "Rows &lt;1 &amp; 2&gt;" in html(made)
    text = latex(made)
    lines = [line for line in text.splitlines() if line.endswith(r"\\") and "&" in line]
    assert [line.replace(r"\&", "").count("&") for line in lines] == [2] * 5
    assert r"our\_method \& co & \textbf{30.00} & 2.500 \\" in lines
    assert r"PSNR $\uparrow$" in lines[0]
    assert text.count("{") == text.count("}")
    assert re.findall(r"\\(toprule|midrule|bottomrule)", text) == ["toprule", "midrule", "bottomrule"]


def test_intervals_and_percent() -> None:
    column = Column("au", "face", "AU", digits=1, percent=True)
    shown = Entry("a", [Score("au", 0.756, True, 5, "face")])
    assert "| a | 75.6 % |" in markdown(table("", [column], [shown]))
    mos = Column("mos", "video", digits=2)
    rated = Entry("b", [Score("mos", 4.127, True, 20, "video")], half_widths={mos.key: 0.25})
    assert "| b | 4.13 ± 0.25 |" in markdown(table("", [mos], [rated]))


def test_files_and_json_keep_full_precision(tmp_path: Path) -> None:
    made = table("T", [PSNR, LMD], ROWS, [published("blink_hashgrid.1").block()])
    write_table(made, tmp_path, "scores")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scores.html", "scores.json", "scores.md", "scores.tex"]
    kept = json.loads((tmp_path / "scores.json").read_text())
    ours, theirs = kept["blocks"]
    assert ours["comparable"] and not theirs["comparable"] and theirs["why"]
    assert ours["rows"][1]["cells"][0]["value"] == 30.004 and ours["rows"][1]["cells"][0]["best"]
    assert ours["rows"][3]["cells"][1] == {
        "name": "lmd", "region": "mouth", "value": None, "half_width": None, "backend": "mesh", "frames": 9,
        "why": "no face", "best": False,
    }  # fmt: skip
    geneface = next(row for row in theirs["rows"] if row["title"] == "Geneface")
    assert [cell["value"] for cell in geneface["cells"]] == [34.267, 2.694]
    assert geneface["cells"][1]["best"], "the lowest LMD of the published block; GT's 0 is not ranked"


PAPERS = {
    "blink_hashgrid": "1-blink-hashgrid-nerf.txt",
    "nerf3dtalker": "2-nerf-3dtalker.txt",
    "kpbe": "3-kpbe.txt",
    "jean": "4-jean.txt",
    "cpeb": "5-cp-eb.txt",
}


@pytest.mark.shared
@pytest.mark.parametrize("name", TABLES)
def test_published_numbers_stand_in_the_paper(name: str, shared_data: Path) -> None:
    """Every row is printed in the paper: a line that begins with its title and holds its numbers in this order."""
    text = (shared_data.parent / "papers" / PAPERS[name.split(".")[0]]).read_text()
    lines = [line.split("\t") for line in text.splitlines() if "\t" in line]
    kept = TABLES[name]
    for title, values in kept.rows.items():
        printed = [_numbers(line[1:]) for line in lines if line[0].startswith(title)]
        scaled = [v and v * (100 if c.percent else 1) for v, c in zip(values, kept.columns, strict=True)]
        wanted = [round(v, 6) for v in scaled if v is not None]
        assert any(_holds(row, wanted) for row in printed), f"{name} {title}: {wanted} not among {printed}"


def _numbers(cells: list[str]) -> list[float]:
    return [float(c.rstrip("%")) for c in cells if re.fullmatch(r"-?\d+(\.\d+)?%?", c.strip())]


def _holds(row: list[float], wanted: list[float]) -> bool:
    return any(row[i : i + len(wanted)] == wanted for i in range(len(row) - len(wanted) + 1))


def test_columns_and_rows_of_published_tables_agree() -> None:
    for name, kept in TABLES.items():
        assert all(len(values) == len(kept.columns) for values in kept.rows.values()), name
        assert kept.not_comparable and (not kept.truth or kept.truth in kept.rows), name
    assert len(TABLES) == 13
