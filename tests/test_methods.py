"""What every registered method promises, on a drawn speaker: it trains, resumes, renders, and obeys its controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from talkface import geometry, methods
from talkface.engine.run import Run
from talkface.errors import UserError
from talkface.io.store import PersonFolder
from talkface.pipeline.render import conditions, render
from talkface.pipeline.synthesize import speech_sample
from talkface.pipeline.train import train
from talkface.types import SOURCE_CAMERA, Conditions, Frame, Pose

PERSONAL = [m.name for m in methods.all_methods() if m.learns == "person"]

pytestmark = pytest.mark.xdist_group("runs")


def small(name: str) -> Any:
    """The least training that still passes through every stage."""
    config: Any = methods.get(name).preset("test")
    return replace(
        config,
        motion=replace(config.motion, steps=3),
        field=replace(config.field, steps=4, fine_steps=2, warmup_steps=2, occupancy_every=2),
    )


@pytest.mark.parametrize("name", PERSONAL)
def test_the_card_is_there(name: str) -> None:
    card = Path(methods.__file__).parent / name / "CARD.md"
    text = card.read_text()
    for heading in ("faithful", "ours", "Controls", "Limits", "Consent"):
        assert heading.lower() in text.lower(), f"{card} says nothing of {heading}"


@pytest.mark.parametrize("name", PERSONAL)
def test_resume_equals_not_stopping(name: str, person: PersonFolder, tmp_path: Path) -> None:
    train(name, person.root, tmp_path / "whole", config=small(name))
    train(name, person.root, tmp_path / "cut", config=small(name), stop_after=5)
    train(name, person.root, tmp_path / "cut", resume=True)
    whole, cut = Run(tmp_path / "whole").weights(), Run(tmp_path / "cut").weights()
    assert set(whole) == set(cut)
    different = [key for key in whole if not torch.equal(whole[key], cut[key])]
    assert different == []


@pytest.mark.parametrize("name", PERSONAL)
def test_the_mouth_follows_the_landmarks(name: str, runs: dict[str, Path]) -> None:
    import json

    lines = [json.loads(line) for line in (runs[name] / "log.jsonl").read_text().splitlines()]
    validated = [line["validation"] for line in lines if "validation" in line and "head_psnr" in line["validation"]]
    assert validated[-1]["head_psnr"] > 20
    assert validated[-1]["mouth_opening_r"] > 0.5


@pytest.mark.parametrize("name", PERSONAL)
def test_each_control_moves_its_region_and_little_else(name: str, runs: dict[str, Path], person: PersonFolder) -> None:
    renderer = methods.get(name).load(Run(runs[name]))
    sound = [person.speech.waveform[:16_000]]

    def frame(pose: Pose | None = None, closure: float = 0.0, view: np.ndarray | None = None) -> Frame:
        still = renderer.source.pose[np.full(25, 3)]
        cameras = np.broadcast_to(SOURCE_CAMERA if view is None else view, (25, 4, 4))
        asked = Conditions(pose or still, np.full(25, closure), cameras, np.full(25, 3))
        return list(renderer.frames(renderer.drives(sound, asked), asked))[12]

    plain = frame()
    points = person.track.landmarks_px[3]
    eyes = np.zeros(plain.opacity.shape, bool)
    for eye in (points[36:42], points[42:48]):
        (left, top), (right, bottom) = eye.min(0).astype(int) - 2, eye.max(0).astype(int) + 3
        eyes[top:bottom, left:right] = True
    shut = np.abs(frame(closure=1.0).colour - plain.colour).mean(-1) * plain.opacity
    if "blink" in methods.get(name).controls:
        below = np.arange(96)[:, None] > points[30, 1]
        assert shut[eyes].mean() > 3 * shut[~eyes].mean()
        assert shut[eyes].mean() > 3 * shut[np.broadcast_to(below, shut.shape)].mean()
    turned = renderer.source.pose[np.full(25, 3)]
    turned = Pose(geometry.rotation_from_angles(0.3, 0.0, 0.0) @ turned.rotation, turned.translation)
    for other in (frame(pose=turned), frame(view=_moved(renderer, 0.25))):
        assert np.abs(other.colour - plain.colour).mean() > 2 * shut.mean()
        assert other.opacity[48, 48] > 0.9 and other.colour.std() > 0.05


def _moved(renderer: Any, yaw: float) -> np.ndarray:
    return geometry.orbit(renderer.source.camera, renderer.source.pose.translation[3], yaw, 0.0).world_from_camera


@pytest.mark.parametrize("name", PERSONAL)
def test_any_length_of_speech_in_constant_memory(
    name: str, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the speech, the same memory beyond the conditions (with shorter windows, so that it takes seconds)."""
    import tracemalloc

    monkeypatch.setattr(f"talkface.methods.{name}.model.SPEECH_WINDOW_FRAMES", 200)
    renderer = methods.get(name).load(Run(runs[name]))
    source = renderer.source
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1

    def peak(seconds: int) -> int:
        asked = conditions(
            seconds * 25, source.pose, source.closure, source.valid, source.camera, "source", "auto", None, None, 0
        )
        tracemalloc.start()
        count = sum(1 for _ in renderer.drives((noise for _ in range(seconds)), asked))
        assert count == len(asked)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(16)
    assert peak(64) < 1.2 * peak(32)


@pytest.mark.parametrize("name", PERSONAL)
def test_a_video_comes_out_and_says_where_from(name: str, runs: dict[str, Path], tmp_path: Path) -> None:
    from talkface.io.provenance import read_mark
    from talkface.io.video import probe

    out = tmp_path / "ünïcode name.mp4"
    result = render(runs[name], speech_sample(), out, pose="5,0,0", blink="0.5", background="#203040")
    assert result["frames"] == pytest.approx(probe(out).duration_s * 25, abs=2)
    found = read_mark(out)
    assert found is not None and found["method"] == name


@pytest.mark.parametrize("name", PERSONAL)
def test_what_a_method_lacks_is_refused_by_name(name: str, runs: dict[str, Path], tmp_path: Path) -> None:
    if "expression" not in methods.get(name).controls:
        with pytest.raises(UserError, match=f"{name} has no --expression"):
            render(runs[name], speech_sample(), tmp_path / "x.mp4", expression="smile=1")
    with pytest.raises(UserError, match="cpeb"):
        render(runs[name], speech_sample(), tmp_path / "x.mp4", blink="audio")
    assert not (tmp_path / "x.mp4").exists()


@pytest.mark.parametrize("name", PERSONAL)
def test_a_damaged_run_is_refused_in_one_sentence(name: str, runs: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "run"
    shutil.copytree(runs[name], broken)
    weights = broken / "weights" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="safetensors"):
        render(broken, speech_sample(), tmp_path / "x.mp4")
    (broken / "config.json").write_text('{"version": 1, "method": "os.system", "config": {}}')
    with pytest.raises(UserError, match=r"os\.system"):
        render(broken, speech_sample(), tmp_path / "x.mp4")
