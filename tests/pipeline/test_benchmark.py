"""Tables of benchmarks from kept results: which scores they show, and that a finished row is not measured again."""

import json

import pytest

from talkface.pipeline.benchmark import _table


def _result(head_db: float, heard_db: float, mouth_r: float) -> dict[str, object]:
    def score(name: str, value: float | None, region: str, drive: str) -> dict[str, object]:
        return {
            "name": name, "value": value, "higher_is_better": True, "frames": 9, "region": region,
            "backend": "talkface", "drive": drive,
        }  # fmt: skip

    own = [
        score("psnr", head_db, "head", "landmarks"),
        score("psnr", heard_db, "head", "audio"),
        score("mouth_r", mouth_r, "mouth", "audio"),
    ]
    return {"train_s": 12, "frames": 9, "scores": own, "baselines": {"pca": [score("psnr", 25.0, "head", "landmarks")]}}


def test_a_row_shows_the_picture_under_true_landmarks_and_mouth_r_by_speech(tmp_path, capsys) -> None:
    _table(
        tmp_path, "blink_hashgrid", {"one": lambda: _result(31.0, 20.0, 0.5), "two": lambda: _result(29.0, 35.0, 0.7)}
    )
    page = (tmp_path / "table.md").read_text()
    one = next(line for line in page.splitlines() if line.startswith("| one"))
    two = next(line for line in page.splitlines() if line.startswith("| two"))
    assert "**31.00**" in one and "20.00" not in one and "0.500" in one
    assert "29.00" in two and "**0.700**" in two
    assert "| pca" in page and "not comparable" in page and page in capsys.readouterr().out
    assert (tmp_path / "table.tex").is_file() and (tmp_path / "table.html").is_file()


def test_a_finished_row_is_kept(tmp_path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(_result(31.0, 20.0, 0.5)))

    def fail() -> dict[str, object]:
        pytest.fail("measured again")

    assert _table(tmp_path, "clips", {"one": fail})["one"]["train_s"] == 12
