"""The field learns a person whose every pixel is known: quality, mouth, eyes, resume, ablations."""

from __future__ import annotations

import gc
import importlib.util
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from talkface.errors import UserError
from talkface.methods.blink_hashgrid.field import HeadField
from talkface.methods.blink_hashgrid.field_config import PRESETS, FieldConfig
from talkface.methods.blink_hashgrid.field_train import FieldTraining

_path = Path(__file__).parents[2] / "data" / "ball_person.py"
_spec = importlib.util.spec_from_file_location("ball_person", _path)
ball_person = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ball_person)
TINY = replace(PRESETS["test"], steps=6, fine_steps=2, warmup_steps=3, rays=64, occupancy_every=2, patch_px=8)


@pytest.fixture(scope="module")
def folder():
    return ball_person.BallPerson(frames=77)


def begin(config: FieldConfig, folder, **more) -> FieldTraining:
    torch.manual_seed(0)
    training = FieldTraining(HeadField(config, len(folder.track)), folder, **more)
    training.settle()
    return training


def run(training: FieldTraining, first: int = 0, last: int | None = None, state=None):
    """The trainer's loop, bare."""
    stage = training.coarse_stage()
    optimiser = torch.optim.Adam(stage.parameters)
    rates = [group["lr"] for group in optimiser.param_groups]
    generator = torch.Generator().manual_seed(1)
    if state is not None:
        training.head.load_state_dict(state[0])
        optimiser.load_state_dict(state[1])
        generator.set_state(state[2])
    for step in range(first, last or stage.steps):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * stage.learning_rate(step / stage.steps)
        loss = stage.step(step, generator)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    copy = {name: tensor.clone() for name, tensor in training.head.state_dict().items()}
    return copy, optimiser.state_dict(), generator.get_state()


@pytest.fixture(scope="module")
def trained(folder):
    training = begin(replace(PRESETS["test"], steps=450), folder)
    run(training)
    return training


def test_it_learns_the_ball(folder, trained) -> None:
    errors = []
    for frame in folder.test_indices:
        rendered, truth, mask = trained.compare(int(frame))
        errors.append(((rendered - truth)[mask] ** 2).mean())
    assert -10 * np.log10(np.mean(errors)) > 25


def test_mouth_and_eyes_follow(trained) -> None:
    scores = trained.validate()
    assert scores["mouth_opening_r"] > 0.8
    assert scores["eye_closure_r"] > 0.8


def test_the_meter_still_reads_when_the_picture_has_grown(folder, trained) -> None:
    config = trained.config
    grown = begin(replace(config, first_size_px=config.size_px // 2, first_share=0.5), folder)
    grown.head.load_state_dict(trained.head.state_dict())
    grown._use_size(config.steps)
    assert grown.data.size_px == config.size_px
    assert grown.validate()["mouth_opening_r"] > 0.8


def test_the_meter_sees_a_frozen_face(folder, trained) -> None:
    """The same picture for every condition must not look like a moving mouth."""
    frozen = trained.condition(int(trained.held_out[0]))
    look = lambda frame, pixels: trained.head.shade(trained._rays(frame, pixels), frozen).colour  # noqa: E731
    scores = trained.meter.follow([int(f) for f in folder.test_indices], look)
    assert abs(scores["mouth_opening_r"]) < 0.75
    assert trained.coarse_stage().watch["mouth_opening_r"][0] == 0.5


def test_a_training_is_freed_as_soon_as_it_is_dropped(folder) -> None:
    """It holds every frame of the clip; a benchmark trains one after the other."""
    gc.disable()
    try:
        training = begin(TINY, folder)
        stage = training.coarse_stage()
        stage.step(0, torch.Generator().manual_seed(0))
        kept = weakref.ref(training)
        del training, stage
        assert kept() is None, "a cycle of references keeps it until the collector comes by"
    finally:
        gc.enable()


def test_blink_changes_the_eyes_only(folder, trained) -> None:
    frame = int(folder.test_indices[0])
    head, data = trained.head, trained.data
    drive = trained.drive(frame, None)
    views = [
        head.render(head.condition(drive, torch.tensor([c])), data.camera, data.poses[frame]).colour for c in (0.0, 1.0)
    ]
    change = np.abs(views[0] - views[1]).mean(2)
    eyes = np.zeros(change.shape, bool)
    for points in (slice(36, 42), slice(42, 48)):
        low = data.landmarks_px[frame, points].min(0).astype(int) - 1
        high = data.landmarks_px[frame, points].max(0).astype(int) + 3
        eyes[low[1] : high[1], low[0] : high[0]] = True
    assert change[eyes].mean() > 5 * change[~eyes].mean()


def test_depth_is_metric(folder, trained) -> None:
    """The rendered depth at the ball's front is its distance, cm."""
    frame = int(folder.test_indices[1])
    data = trained.data
    view = trained.head.render(trained.condition(frame), data.camera, data.poses[frame])
    middle = data.landmarks_px[frame, 30].astype(int)
    origin = data.poses[frame][:3, 3]
    expected = np.linalg.norm(folder.track.landmarks[frame, 30] - origin)
    assert view.depth[middle[1], middle[0]] == pytest.approx(expected, abs=1.0)


def test_outline_pixels_are_the_mean_of_four_rays(folder, trained) -> None:
    """Held against a picture of twice the size: its pixels are the four rays; away from the outline nothing changes."""
    head, data, frame = trained.head, trained.data, int(folder.test_indices[0])
    condition, pose = trained.condition(frame), data.poses[frame]
    plain = head.render(condition, data.camera, pose)
    double = head.render(condition, data.camera.resized(tuple(2 * side for side in data.camera.size_px)), pose)
    head.config = replace(head.config, outline_rays=2)
    try:
        smooth = head.render(condition, data.camera, pose)
    finally:
        head.config = replace(head.config, outline_rays=1)
    side = data.size_px
    mean = double.opacity.reshape(side, 2, side, 2).mean((1, 3))
    changed = smooth.opacity != plain.opacity
    assert 0.02 < changed.mean() < 0.5
    np.testing.assert_allclose(smooth.opacity[changed], mean[changed], atol=0.02)
    partial = (plain.opacity > 0.2) & (plain.opacity < 0.8)
    assert changed[partial].mean() > 0.9


def test_exchanged_plates_ask_for_the_truth(folder) -> None:
    """A perfect head has no error whatever the plate, and an opaque rim in the old background's colour has one."""
    training = begin(replace(TINY, exchange="rays"), folder)
    generator = torch.Generator().manual_seed(0)
    batch = training.data.draw(int(training.training[0]), 4000, generator)
    plate, target = training._exchanged(batch, generator, False)
    perfect = batch.colour - (1 - batch.head) * batch.plate
    torch.testing.assert_close(perfect + (1 - batch.head) * plate, target, atol=1e-6, rtol=0)
    chosen = (plate != batch.plate).any(0)
    beside, edge = batch.head == 0, (batch.head > 0.1) & (batch.head < 0.9)
    for where in (beside, edge, batch.head > 0.99):
        assert where.sum() > 50 and 0.35 < chosen[where].float().mean() < 0.65
    assert (batch.plate - target).square().mean(0)[beside & chosen].min() > 1e-6, "painting the old background is wrong"
    assert torch.equal(training._exchanged(batch, generator, True)[0], batch.plate), "not while warming up"
    neck = batch._replace(person=torch.ones_like(batch.person))
    kept = (training._exchanged(neck, generator, False)[0] == batch.plate).all(0)
    assert kept[batch.head <= 0.99].all(), "the neck stays behind the jaw"


def test_resuming_is_exact(folder) -> None:
    whole = run(begin(TINY, folder))
    half = run(begin(TINY, folder), last=3)
    fresh = begin(TINY, folder)
    torch.rand(5)  # another global random state must not matter
    resumed = run(fresh, first=3, state=half)
    assert all(torch.equal(whole[0][name], resumed[0][name]) for name in whole[0])


@pytest.mark.parametrize(
    "change",
    [
        {"triplane": False},
        {"conditioning": "attention"},
        {"eye": False},
        {"conditioning": "attention", "eye": False, "triplane": False},
        {"drive": 32, "conditioning": "attention"},
        {"drive": 32},
        {"view": False},
        {"exchange": "rays"},
        {"first_size_px": 24, "first_share": 0.5},
    ],
)
def test_every_setting_steps(folder, change) -> None:
    config = replace(TINY, **change)
    code = torch.nn.Parameter(torch.randn(len(folder.track), 32))
    drive = (lambda frame, generator: code[frame]) if config.drive else None
    training = begin(config, folder, drive=drive)
    run(training)
    generator = torch.Generator().manual_seed(0)
    for step in range(2):
        losses = training.fine_step(step, generator)
        losses["loss"].backward()
        assert torch.isfinite(losses["loss"])
    assert "random_features" in training.fine_step(0, generator)
    if config.drive:
        assert code.grad is not None and code.grad.abs().sum() > 0
    assert training.preview().shape[2] == 3


def test_bad_options_are_one_sentence() -> None:
    for bad in (
        {"rays": 0},
        {"finest": 8},
        {"conditioning": "magic"},
        {"exchange": "magic"},
        {"outline_rays": 0},
        {"levels": -1},
    ):
        with pytest.raises(UserError):
            FieldConfig(**bad)
    assert set(PRESETS) == {"test", "small", "medium", "full"}
