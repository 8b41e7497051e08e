"""The face scores against exact truth, through pictures and detector; and novel views of a trained speaker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.pipeline import benchmark_novel_view as novel
from talkface.pipeline.synthesize import drawn_again


@pytest.mark.slow
def test_blinks_lids_and_pose_on_drawn_speakers(ict_model, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    from talkface.pipeline.benchmark_face import CAST, benchmark_face

    found = {f["name"]: f["value"] for f in benchmark_face(tmp_path, CAST[:2])["figures"]}
    assert found["blink F1, all speakers"] >= 0.95
    assert found["AU45 r, mean of speakers"] >= 0.95
    assert found["pose score, error of the angle between two heads, deg"] <= 1.0
    assert found["AU25 fitted against known, r, of 2 speakers"] >= 0.9
    assert json.loads((tmp_path / "face.json").read_text())["face_model"] == "ict"


@pytest.fixture
def demo(person, runs, tmp_path: Path) -> Path:
    """A drawn speaker's folder as the demo leaves it."""
    (tmp_path / "demo" / "speaker").mkdir(parents=True)
    shutil.copy(person.root.parent / "truth.npz", tmp_path / "demo" / "speaker" / "truth.npz")
    (tmp_path / "demo" / "person").symlink_to(person.root)
    (tmp_path / "demo" / "run").symlink_to(runs["blink_hashgrid"])
    return tmp_path / "demo"


@pytest.mark.slow
def test_novel_views_of_a_trained_speaker(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mediapipe")
    views = (novel.Viewpoint(0.0, 0.0), novel.Viewpoint(30.0, 0.0))
    monkeypatch.setattr(novel, "sweep", lambda: views)
    result = novel.benchmark_novel_view(tmp_path / "out", demo, frames=1)
    psnr = {
        (v["video"], v["yaw_deg"]): s["value"]
        for v in result["views"]
        for s in v["scores"]
        if (s["name"], s["region"]) == ("psnr", "head")
    }
    assert psnr["flat", 0.0] > 40, "the flat warp of the same view is the view itself"
    assert psnr["flat", 30.0] < psnr["flat", 0.0] - 10
    assert {p.name for p in (tmp_path / "out").iterdir()} >= {"table.md", "table.tex", "novel_view.json", "report.html",
                                                             "sheet.png"}  # fmt: skip


def test_a_speaker_is_drawn_again_from_its_truth(person, tmp_path: Path) -> None:
    truth = person.root.parent / "truth.npz"
    speaker = drawn_again(truth)
    picture = speaker.picture(7)
    assert np.abs(picture.astype(int) - person.frame(7)).mean() < 1.0
    changed = dict(np.load(truth))
    del changed["speaker"]
    np.savez(tmp_path / "truth.npz", **changed)
    with pytest.raises(UserError, match="which speaker"):
        drawn_again(tmp_path / "truth.npz")
    np.savez(
        tmp_path / "other.npz", **{**changed, "speaker": np.load(truth)["speaker"], "rotation": np.zeros((3, 3, 3))}
    )
    with pytest.raises(UserError, match="another face model"):
        drawn_again(tmp_path / "other.npz")
