"""Stairs go one way: a room imports only rooms on floors below it."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "talkface"

FLOORS = {
    "types": 0, "geometry": 0, "config": 0, "errors": 0, "assets": 0, "progress": 0, "ops": 0,
    "io": 1, "audio": 1, "face": 1, "fields": 1, "nets": 1,
    "engine": 2, "data": 2, "metrics": 2, "losses": 2,
    "methods": 3,
    "pipeline": 4,
    "app": 5, "shell": 5,
    "commands": 6,
    "cli": 7, "__init__": 7, "__main__": 7,
}  # fmt: skip


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def house_imports(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, a.name) for a in node.names if a.name.split(".")[0] == "talkface"]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "talkface":
            if node.module == "talkface":
                found += [(node.lineno, f"talkface.{a.name}") for a in node.names]
            else:
                found.append((node.lineno, node.module))
    return found


def complaints(package: Path) -> list[str]:
    bad = []
    for path in sorted(package.rglob("*.py")):
        module = ".".join(("talkface", *path.relative_to(package).with_suffix("").parts))
        room = room_of(module)
        for line, target in house_imports(path):
            other = room_of(target)
            if other not in FLOORS or room not in FLOORS:
                bad.append(f"{path}:{line}: {target}: this room has no floor in tests/test_architecture.py")
            elif other != room and FLOORS[other] >= FLOORS[room] and not (FLOORS[other] == FLOORS[room] == 0):
                bad.append(f"{path}:{line}: {room} (floor {FLOORS[room]}) imports {other} (floor {FLOORS[other]})")
            elif room == "methods" and other == "methods":
                mine, theirs = module.split(".")[2], (target.split(".") + [""] * 3)[2]
                if theirs not in ("", "base", mine) and mine not in ("__init__", "base"):
                    bad.append(f"{path}:{line}: method {mine} imports method {theirs}")
    return bad


def test_no_import_points_up_or_sideways() -> None:
    assert complaints(PACKAGE) == []


def test_a_wrong_import_is_found(tmp_path: Path) -> None:
    (tmp_path / "io").mkdir()
    (tmp_path / "io" / "bad.py").write_text("from talkface.pipeline import train\n")
    assert "io (floor 1) imports pipeline (floor 4)" in complaints(tmp_path)[0]
