from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from talkface.config import from_json, to_json
from talkface.engine.run import Run
from talkface.engine.trainer import train
from talkface.errors import UserError
from talkface.face.blink_habit import natural_blinks
from talkface.methods.blink_hashgrid.landmark_space import BROWS, EYES, MOUTH, LandmarkSpace
from talkface.methods.blink_hashgrid.motion import MotionModel
from talkface.methods.blink_hashgrid.motion_config import MotionConfig, motion_preset
from talkface.methods.blink_hashgrid.motion_train import (
    MotionClip,
    draw_batch,
    eye_opening,
    fit_person,
    losses,
    stage,
    validate,
)

BANDS = 29


def face() -> np.ndarray:
    """A rough 68-point face, cm: only eyes and mouth need to be right."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(68, 3)) * 2
    ring = np.stack([-np.cos(np.arange(6) * np.pi / 3), np.sin(np.arange(6) * np.pi / 3)], 1)
    for side, first in ((-3.2, 36), (3.2, 42)):
        points[first : first + 6] = np.concatenate([ring * [1.5, 0.5] + [side, 0], np.zeros((6, 1))], 1)
    turn = -np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)
    points[48:60] = np.stack([2.5 * turn[0], 0.8 * turn[1] - 6, np.zeros(12)], 1)
    turn = -np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)
    points[60:68] = np.stack([2 * turn[0], 0.3 * turn[1] - 6, np.zeros(8)], 1)
    return points


def clip(frames: int = 150, seed: int = 0) -> MotionClip:
    """Speech features whose loudness opens the mouth, and blinks."""
    rng = np.random.default_rng(seed)
    loud = np.clip(np.convolve(rng.normal(size=frames + 16), np.ones(5) / 2, "valid")[: frames + 8], -2, 2)
    spectrum = np.sin(np.arange(BANDS))
    around = np.stack([np.interp(np.arange(16) / 2 - 4 + t, np.arange(frames + 8) - 4, loud) for t in range(frames)])
    windows = (around[..., None] * spectrum + 0.1 * rng.normal(size=(frames, 16, BANDS))).astype(np.float32)
    closure = natural_blinks(frames, 1.0, (0.3, 0.8, 1.0, 0.6, 0.2), rng)
    landmarks = np.repeat(face()[None], frames, 0)
    landmarks[:, 55:60, 1] -= 0.4 * loud[4 : frames + 4, None]
    landmarks[:, 65:68, 1] -= 0.4 * loud[4 : frames + 4, None]
    for first in (36, 42):
        landmarks[:, first : first + 6, 1] *= (1 - 0.9 * closure)[:, None]
    landmarks += 0.01 * rng.normal(size=landmarks.shape)
    return MotionClip(windows, landmarks.astype(np.float32), closure.astype(np.float32), np.ones(frames, bool))


def model_of(config: MotionConfig, clips: list[MotionClip], seed: int = 0) -> MotionModel:
    torch.manual_seed(seed)
    model = MotionModel(config, BANDS)
    fit_person(model, clips)
    return model


def awake(model: MotionModel) -> MotionModel:
    """Heads that start at zero are given something to say."""
    torch.manual_seed(1)
    for linear in (model.dlt.head, model.dlt.residual):
        torch.nn.init.normal_(linear.weight, std=0.2)
    if model.blink is not None:
        torch.nn.init.normal_(model.blink.control.movement.weight, std=0.1)
    return model


# --- the space of P ---


def test_space_scores_and_restores() -> None:
    data = clip().landmarks.astype(np.float64)
    space = LandmarkSpace()
    space.fit(data, np.ones(len(data), bool))
    scored = space.normalise(torch.as_tensor(data, dtype=torch.float32))
    moving = torch.as_tensor(data.std(0) > 0.05)
    assert torch.allclose(scored.mean(0), torch.zeros(68, 3), atol=2e-3)
    assert torch.allclose(scored.std(0)[moving], torch.ones(int(moving.sum())), atol=1e-3)
    np.testing.assert_allclose(space.restore(scored).numpy(), data, atol=1e-5)
    boxed = space.box(scored)
    assert boxed.amin() >= 0.5 * 0.05 / 1.1
    assert torch.allclose(boxed.amin(0), torch.full((68, 3), 0.05 / 1.1), atol=1e-4)
    assert space.box(scored + 100).amax() == 1


def test_space_clamps_the_upper_face_tighter() -> None:
    clamped = LandmarkSpace().clamp(torch.full((68, 3), 9.0))
    assert (clamped[MOUTH] == 2.5).all()
    assert (clamped[BROWS, :2] == 1.25).all()
    assert (clamped[EYES, :2] == 1.25).all()
    assert (clamped[EYES, 2] == 2.5).all()


def test_eye_points_go_out_and_in_again() -> None:
    data = clip()
    space = LandmarkSpace()
    space.fit(data.landmarks, data.valid)
    scored = space.normalise(torch.as_tensor(data.landmarks))
    eyes = space.eye_points(scored)
    assert eyes.mean((0, 2)).abs().max() < 1e-5
    iod = np.linalg.norm(face()[36] - face()[45])
    assert (eyes[..., 0].amax(-1) - eyes[..., 0].amin(-1)).mean() == pytest.approx(3.0 / iod, rel=0.02)
    other = torch.randn_like(scored)
    written = space.with_eye_points(other, eyes)
    assert torch.allclose(written[:, EYES, :2], scored[:, EYES, :2], atol=1e-4)
    rest = [i for i in range(68) if not 36 <= i < 48]
    assert torch.equal(written[:, rest], other[:, rest])
    assert torch.equal(written[:, EYES, 2], other[:, EYES, 2])


def test_space_needs_a_second_of_face() -> None:
    with pytest.raises(UserError, match="only 24 training frames"):
        LandmarkSpace().fit(np.zeros((30, 68, 3)), np.arange(30) < 24)


# --- training ---


def test_batches_keep_speech_and_face_in_step() -> None:
    data = clip(60)
    marked = replace(
        data,
        windows=np.broadcast_to(np.arange(60, dtype=np.float32)[:, None, None], (60, 16, BANDS)),
        landmarks=np.broadcast_to(np.arange(60, dtype=np.float32)[:, None, None], (60, 68, 3)),
        closure=np.arange(60, dtype=np.float32),
        valid=np.arange(60) != 30,
    )
    batch = draw_batch([marked], 16, 24, 1, torch.Generator().manual_seed(0))
    assert batch.windows.shape == (16, 31, 16, BANDS)
    face_frame, speech_frame = batch.landmarks[..., 0, 0], batch.windows[:, 4:28, 0, 0]
    assert torch.equal(face_frame[batch.valid], speech_frame[batch.valid])
    assert torch.equal(batch.units[..., 0], batch.closure)
    assert not batch.inside.all()
    assert not batch.valid.all()
    assert (batch.landmarks[~batch.valid] == 0).all()


@pytest.mark.parametrize(("blink", "prior"), product([True, False], ["normal", "flow"]))
def test_every_switch_builds_and_steps(blink: bool, prior: Literal["normal", "flow"]) -> None:
    config = replace(motion_preset("test"), blink_embedding=blink, prior=prior)
    model = model_of(config, [clip()])
    named = losses(
        model, draw_batch([clip()], 2, 24, 1, torch.Generator().manual_seed(0)), 0.6, torch.Generator().manual_seed(0)
    )
    named["loss"].backward()
    total = named["position"] + 3 * named["continuity"] + 0.4 * named["kl"] + 0.1 * named["audio"] + named["eye"]
    assert named["loss"].item() == pytest.approx(total.item())
    assert (named["eye"].item() == 0) is not blink
    silent = [n for n, p in model.named_parameters() if p.grad is None]
    assert silent == []


def test_upper_face_units_are_needed_where_asked_for() -> None:
    config = replace(motion_preset("test"), action_units="upper_face")
    with pytest.raises(UserError, match="action units 1 to 7"):
        model_of(config, [clip()])
    data = replace(clip(), other_units=np.full((150, 6), 0.3, np.float32))
    model = model_of(config, [data])
    units = model.units(torch.tensor([0.0, 1.0]))
    assert torch.allclose(units, torch.tensor([[0.3] * 6 + [0.0], [0.3] * 6 + [1.0]]))
    assert model.predict(data.windows[:30], np.zeros(30, np.float32)).shape == (30, 68, 3)


def test_invalid_frames_teach_nothing() -> None:
    data = clip()
    broken = replace(data, valid=np.arange(150) % 7 != 0)
    ruined = replace(broken, landmarks=np.where(broken.valid[:, None, None], data.landmarks, np.nan))
    model = model_of(motion_preset("test"), [broken])
    both = []
    for one in (broken, ruined):
        generator = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        both.append(losses(model, draw_batch([one], 2, 24, 1, generator), 0.0, generator)["loss"])
    assert torch.isfinite(both[1])
    assert torch.equal(both[0], both[1])


def test_too_short_a_clip_is_named() -> None:
    with pytest.raises(UserError, match="15 frames"):
        draw_batch([clip(15)], 1, 24, 1, torch.Generator())


def test_learns_mouth_and_blinks_of_a_drawn_speaker() -> None:
    config = replace(motion_preset("test"), steps=80, lr=4e-3, batch=4)
    clips = [clip(400, seed=0)]
    model, generator = model_of(config, clips), torch.Generator().manual_seed(0)
    plan = stage(model, clips)
    optimiser = torch.optim.AdamW(plan.parameters)
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: plan.learning_rate(step / plan.steps))
    for step in range(plan.steps):
        loss = plan.step(step, generator)["loss"]
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        decay.step()
    found = validate(model, [clip(200, seed=9)])
    assert found["mouth_r"] > 0.7
    assert found["eye_r"] > 0.8


def test_resume_gives_the_weights_of_a_run_that_never_stopped(tmp_path: Path) -> None:
    config = replace(motion_preset("test"), steps=6)
    clips = [clip()]
    weights = []
    for name, stops in (("whole", [None]), ("broken", [4, None])):
        Run.create(tmp_path / name, "blink_hashgrid", {}, {})
        for stop in stops:
            model = model_of(config, clips)
            train(model, [stage(model, clips)], Run(tmp_path / name), stop_after=stop)
        weights.append(model.state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


# --- inference ---


def test_starts_at_the_mean_face() -> None:
    data = clip()
    model = model_of(replace(motion_preset("test"), blink_embedding=False), [data])
    np.testing.assert_allclose(
        model.predict(data.windows, data.closure), np.broadcast_to(data.landmarks.mean(0), (150, 68, 3)), atol=1e-5
    )


def test_eyes_come_from_the_control_module() -> None:
    data = clip()
    model = awake(model_of(motion_preset("test"), [data]))
    predicted = model.predict(data.windows, data.closure)
    _, eyes = model.eyes(torch.as_tensor(data.closure))
    assert eyes is not None
    low = data.landmarks[:, EYES, :2].min(0)
    high = data.landmarks[:, EYES, :2].max(0)
    shown = model.space.eye_points(model.space.normalise(torch.as_tensor(predicted)))
    inside = ((predicted[:, EYES, :2] > low + 1e-3) & (predicted[:, EYES, :2] < high - 1e-3)).reshape(150, 2, 6, 2)
    assert inside.any()
    np.testing.assert_allclose(shown.numpy()[inside], eyes.detach().numpy()[inside], atol=1e-4)
    assert (predicted[:, EYES, :2] >= low - 1e-4).all()
    assert (predicted[:, EYES, :2] <= high + 1e-4).all()
    other = model.predict(data.windows, 1 - data.closure)
    assert not np.allclose(other[:, EYES], predicted[:, EYES])


def test_speech_in_blocks_gives_the_same_to_the_bit_and_is_read_no_further_than_needed() -> None:
    data = clip(500)
    model = awake(model_of(motion_preset("test"), [data]))
    whole = model.predict(data.windows, data.closure)
    read = 0

    def blocks(size: int) -> Iterator[np.ndarray]:
        nonlocal read
        for start in range(0, 500, size):
            read = start + size
            yield data.windows[start : start + size]

    parts = []
    for part in model.landmarks(blocks(50), data.closure):
        parts.append(part)
        assert read <= sum(map(len, parts)) + 48 + 50 + 3
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


def test_speech_shorter_than_asked_is_an_error() -> None:
    data = clip()
    model = model_of(motion_preset("test"), [data])
    with pytest.raises(UserError, match="speech ends after 150 frames, but 200"):
        model.predict(data.windows, np.zeros(200, np.float32))


def test_smoothing_window_is_the_papers() -> None:
    """A of frame t hears codes t - 4 to t + 3, zeros outside the clip."""
    data = clip()
    model = model_of(motion_preset("test"), [data])
    codes = model.net(torch.as_tensor(data.windows))
    padded = torch.cat([torch.zeros(4, 64), codes, torch.zeros(3, 64)])[None]
    audio = model.smoothed(padded)[0]
    assert torch.allclose(audio, model.filter.smooth(codes), atol=1e-5)
    assert torch.allclose(audio[20], model.filter(codes[None, 16:24])[0], atol=1e-5)


def test_closure_is_read_back_from_landmarks() -> None:
    data = clip()
    model = model_of(motion_preset("test"), [data])
    assert model.closure_of(torch.as_tensor(data.landmarks)).shape == (150,)
    blind = model_of(replace(motion_preset("test"), blink_embedding=False), [data])
    with pytest.raises(UserError, match="blink embedding"):
        blind.closure_of(torch.as_tensor(data.landmarks))


def test_eye_opening_falls_with_closure() -> None:
    data = clip()
    assert np.corrcoef(eye_opening(data.landmarks), data.closure)[0, 1] < -0.95


# --- settings ---


@pytest.mark.parametrize("preset", ["test", "small", "medium", "full"])
def test_presets_travel_as_json(preset: str) -> None:
    config = motion_preset(preset)  # type: ignore[arg-type]
    assert from_json(MotionConfig, to_json(config)) == config


def test_full_is_the_specification() -> None:
    full = motion_preset("full")
    assert (full.steps, full.batch, full.window_frames, full.lr) == (40_000, 8, 100, 5e-4)
    assert (full.width, full.layers, full.heads, full.dropout, full.inference_window_frames) == (128, 4, 4, 0.1, 200)
