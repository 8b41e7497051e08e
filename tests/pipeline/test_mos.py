"""The listening test from videos to table: the page is parsed, its promises checked, ratings go round."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from talkface.cli import main
from talkface.errors import UserError
from talkface.metrics.mos import SCALES, TRUTH
from talkface.pipeline.mos import collect, make


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    for system in ("ours", "theirs", "true"):
        (tmp_path / system).mkdir()
        for video in ("one", "two words"):
            (tmp_path / system / f"{video}.mp4").write_bytes(f"{system} {video}".encode())
    return [tmp_path / "ours", tmp_path / "theirs"]


@pytest.fixture
def study(folders: list[Path], tmp_path: Path) -> Path:
    make(folders, tmp_path / "study", truth=tmp_path / "true", seed=3, title="A </script> test")
    return tmp_path / "study"


class Page(HTMLParser):
    """Ids, sources and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            if name in ("src", "href") and value:
                self.outside.append(value)


def inside(study: Path) -> dict:
    text = (study / "sheet" / "index.html").read_text()
    found = re.search(r"const study = (\{.*\});", text)
    assert found is not None
    return json.loads(found.group(1))


def test_the_page_is_whole_blind_and_offline(study: Path) -> None:
    text = (study / "sheet" / "index.html").read_text()
    page = Page(text)
    assert {"welcome", "hearing", "trial", "end", "video", "questions", "next", "save"} <= page.ids
    used = set(re.findall(r'\$\("(\w+)"\)', text))
    assert used <= page.ids, "the script asks for nothing that is not there"
    assert not page.outside and not re.search(r"https?://", text), "nothing comes from the network"
    assert "localStorage" in text and "keydown" in text
    assert text.count("</script>") == 1, "a title cannot end the script"
    for word in ("ours", "theirs", TRUTH, "two words"):
        assert word not in json.dumps(inside(study)["videos"]), "the sheet does not say what a video is"
    assert set(inside(study)["scales"]) == set(SCALES)


def test_every_video_is_there_once_under_its_code(study: Path) -> None:
    key = json.loads((study / "key.json").read_text())
    shown = inside(study)["videos"]
    assert [v["code"] for v in shown] == sorted(s["code"] for s in key["stimuli"]) and len(shown) == 6
    for stimulus in key["stimuli"]:
        file = next(v["file"] for v in shown if v["code"] == stimulus["code"])
        system = "true" if stimulus["system"] == TRUTH else stimulus["system"]
        assert (study / "sheet" / file).read_bytes() == f"{system} {stimulus['video']}".encode()
    assert not list((study / "sheet").rglob("key.json"))


def test_the_seed_decides(folders: list[Path], study: Path, tmp_path: Path) -> None:
    make(folders, tmp_path / "again", truth=tmp_path / "true", seed=3, title="Another title")
    make(folders, tmp_path / "other", truth=tmp_path / "true", seed=4)
    assert inside(tmp_path / "again")["study"] == inside(study)["study"] != inside(tmp_path / "other")["study"]


def rated(study: Path, name: str, shift: int = 0) -> Path:
    key = json.loads((study / "key.json").read_text())
    level = {"ours": 4, "theirs": 2, TRUTH: 5}
    ratings = {
        s["code"]: {scale: max(1, level[s["system"]] - (i + shift) % 2) for i, scale in enumerate(SCALES)}
        for s in key["stimuli"]
    }
    file = study / f"{name}.ratings.json"
    file.write_text(json.dumps({"format": key["format"], "study": key["study"], "listener": name, "ratings": ratings,
                                "headphones": {"correct": 3, "of": 3, "passed": name != "deaf"}}))  # fmt: skip
    return file


def test_ratings_become_the_table(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [rated(study, "a"), rated(study, "b", 1), rated(study, "deaf", 1)]
    files[2].write_text(files[2].read_text().replace(": 5", ": 4", 1))
    arguments = ["mos", "collect", str(study), *map(str, files), "--out", str(tmp_path / "out"), "--headphones-only"]
    assert main(arguments) == 0
    assert "ours" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "mos_intervals.json").read_text())
    assert found["listeners"] == 2
    lips = {o["system"]: o for o in found["opinions"] if o["scale"] == "lip_sync"}
    assert (lips["ours"]["mean"], lips["theirs"]["mean"], lips[TRUTH]["mean"]) == (3.5, 1.5, 4.5)
    assert lips["ours"]["ratings"] == 4
    assert sorted(p.name for p in (tmp_path / "out").glob("mos.*")) == ["mos.html", "mos.json", "mos.md", "mos.tex"]
    assert collect(study, files, tmp_path / "out")["without_headphones"] == 1


def test_bad_ratings_are_refused_and_nothing_is_written(study: Path, tmp_path: Path) -> None:
    out, good = tmp_path / "out", rated(study, "a")
    torn = tmp_path / "torn.json"
    torn.write_text(good.read_text()[:-20])
    copy = tmp_path / "copy.json"
    copy.write_text(good.read_text())
    for files, says in (([], "no ratings"), ([torn], "JSON"), ([good, copy], "the same listener")):
        with pytest.raises(UserError, match=says):
            collect(study, files, out)
    with pytest.raises(UserError, match="headphone check"):
        collect(study, [rated(study, "deaf")], out, headphones_only=True)
    with pytest.raises(UserError, match=r"key\.json"):
        collect(tmp_path / "elsewhere", [good], out)
    assert not out.exists()


def test_bad_folders_are_one_sentence(folders: list[Path], study: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    with pytest.raises(UserError, match="holds a listening test already"):
        make(folders, study)
    (folders[1] / "one.mp4").unlink()
    with pytest.raises(UserError, match=r"'one' is in .*ours and not in .*theirs"):
        make(folders, fresh)
    (tmp_path / "empty").mkdir()
    for systems, says in (
        ([], "name the folders"),
        ([tmp_path / "empty"], "no videos"),
        ([tmp_path / "absent"], "not a folder"),
        ([folders[0], folders[0]], "two systems"),
    ):
        with pytest.raises(UserError, match=says):
            make(systems, fresh)
    assert not fresh.exists()
