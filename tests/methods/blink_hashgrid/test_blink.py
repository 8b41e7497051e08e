from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from talkface.face.blink_habit import PUBLISHED_HABIT, learn_habit, natural_blinks
from talkface.face.eyes import blink_events
from talkface.methods.blink_hashgrid.blink import (
    NUDGE,
    ActionUnitFeature,
    Blinked,
    BlinkEmbedding,
    EyeMapping,
    RingConvolution,
    eye_loss,
    teacher_share,
)

ANGLES = torch.arange(6) * torch.pi / 3
OPEN_EYES = torch.stack([-0.15 * ANGLES.cos(), 0.05 * ANGLES.sin()], -1).expand(2, 6, 2)


def eyes_of(closure: torch.Tensor) -> torch.Tensor:
    """Eyes whose lids fall by `closure`: an ellipse whose height shrinks and whose middle sinks a little."""
    shape = OPEN_EYES.expand(*closure.shape, 2, 6, 2).clone()
    shape[..., 1] = shape[..., 1] * (1 - 0.9 * closure[..., None, None]) - 0.02 * closure[..., None, None]
    return shape


def commanded(frames: int, seed: int, batch: int = 8) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    shape = (0.2, 0.6, 0.95, 1.0, 0.7, 0.4, 0.1)
    return torch.tensor(np.stack([natural_blinks(frames, 0.7, shape, rng) for _ in range(batch)])).float()


def test_sizes_are_the_resolved_ones() -> None:
    embedding = BlinkEmbedding()
    blinked = embedding(embedding.feature(torch.zeros(3, 10, 1)), OPEN_EYES)
    assert blinked.embedding.shape == (3, 10, 32)
    assert blinked.eyes.shape == (3, 10, 2, 6, 2)
    assert embedding.control.cell.input_size == 32 + 1 + 24
    assert embedding.control.cell.hidden_size == 64
    count = lambda net: sum(p.numel() for p in net.parameters())  # noqa: E731
    assert count(EyeMapping()) == (2 * 3 * 16 + 16) + (16 * 3 * 32 + 32) + (32 * 16 + 16) + (16 + 1)
    gru = 2 * 3 * (8 * 1 + 8 * 8 + 8 + 8)
    assert count(ActionUnitFeature(1)) == (1 * 16 + 16 + 16 * 16 + 16) + gru + (32 * 32 + 32) + (32 * 32 + 32)


def test_ring_convolution_is_circular_conv1d() -> None:
    torch.manual_seed(0)
    ring = RingConvolution(3, 5)
    conv = torch.nn.Conv1d(3, 5, 3, padding=1, padding_mode="circular")
    with torch.no_grad():
        conv.weight.copy_(ring.weight.view(5, 3, 3).transpose(1, 2))
        conv.bias.copy_(ring.bias)  # type: ignore[union-attr]
    points = torch.randn(4, 6, 3)
    assert torch.allclose(ring(points), conv(points.transpose(1, 2)).transpose(1, 2), atol=1e-6)


def test_action_unit_feature_joins_frame_and_segment() -> None:
    torch.manual_seed(0)
    net = ActionUnitFeature(1)
    units = torch.zeros(1, 12, 1)
    other = units.clone()
    other[0, 9] = 1
    change = (net(other) - net(units)).abs().sum(-1)[0]
    assert (change > 0).all()  # the segment's part reaches every frame
    assert change[9] == change.max()  # the frame's own part is stronger


def test_starts_by_leaving_the_eyes_alone() -> None:
    embedding = BlinkEmbedding()
    blinked = embedding(embedding.feature(torch.rand(2, 15, 1)), OPEN_EYES)
    assert torch.equal(blinked.eyes, OPEN_EYES.expand(2, 15, 2, 6, 2))


def test_control_sees_no_later_frame() -> None:
    torch.manual_seed(0)
    embedding = BlinkEmbedding()
    torch.nn.init.normal_(embedding.control.movement.weight, std=0.3)
    feature = torch.randn(1, 20, 32)
    later = feature.clone()
    later[:, 12:] += 1
    one, two = embedding(feature, OPEN_EYES), embedding(later, OPEN_EYES)
    assert torch.equal(one.eyes[:, :12], two.eyes[:, :12])
    assert torch.equal(one.embedding[:, :12], two.embedding[:, :12])
    assert not torch.equal(one.eyes[:, 12], two.eyes[:, 12])


def test_forced_frames_forget_the_prediction() -> None:
    torch.manual_seed(0)
    embedding = BlinkEmbedding()
    torch.nn.init.normal_(embedding.control.movement.weight, std=0.3)
    feature, true = torch.randn(1, 6, 32), eyes_of(torch.rand(1, 6))
    forced = torch.ones(1, 6, dtype=torch.bool)
    blinked = embedding(feature, OPEN_EYES, true, forced)
    assert torch.equal(blinked.size, embedding.mapping(true))
    free = embedding(feature, OPEN_EYES, true, ~forced)
    assert torch.equal(free.eyes, embedding(feature, OPEN_EYES).eyes)
    assert torch.equal(free.eyes[:, 0], blinked.eyes[:, 0])
    assert not torch.allclose(free.eyes[:, 2], blinked.eyes[:, 2])


def test_eye_loss_by_hand() -> None:
    true = torch.zeros(1, 2, 2, 6, 2)
    eyes = true.clone()
    eyes[0, 0, 0, 0] = torch.tensor([0.1, -0.2])
    eyes[0, 1] = 5.0  # not valid: must not count
    blinked = Blinked(torch.zeros(1, 2, 32), eyes, torch.zeros(1, 2), torch.tensor([[0.6, 0.0]]))
    loss = eye_loss(
        blinked, torch.tensor([[0.9, 0.0]]), true, torch.tensor([[0.2, 0.0]]), torch.tensor([[True, False]])
    )
    cross_entropy = -(0.8 * math.log(0.9) + 0.2 * math.log(0.1))
    assert loss.item() == pytest.approx(0.3 + 0.5 * (cross_entropy + 0.2))


def test_teacher_leaves_in_the_second_half() -> None:
    assert [teacher_share(p) for p in (0.0, 0.5, 0.625, 0.75, 1.0)] == [1, 1, 0.5, 0, 0]


def test_eyes_follow_the_commanded_closure() -> None:
    """Short training on drawn eyes; then a new command, free-running for far longer than any training window."""
    torch.manual_seed(0)
    embedding, generator = BlinkEmbedding(), torch.Generator().manual_seed(0)
    steps = 200
    optimiser = torch.optim.AdamW(embedding.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.3 ** (1 / steps))
    closures = commanded(2000, seed=1, batch=1)[0]
    for step in range(steps):
        starts = torch.randint(0, 1988, (16,), generator=generator)
        closure = torch.stack([closures[s : s + 12] for s in starts.tolist()])
        true = eyes_of(closure)
        nudged = true + NUDGE * torch.randn(true.shape, generator=generator)
        forced = torch.rand(closure.shape, generator=generator) < teacher_share(step / steps)
        blinked = embedding(embedding.feature(closure[..., None]), OPEN_EYES, nudged, forced)
        loss = eye_loss(blinked, embedding.mapping(true), true, closure, torch.ones_like(forced))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(embedding.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    with torch.inference_mode():
        closure = commanded(500, seed=2, batch=1)
        blinked = embedding(embedding.feature(closure[..., None]), OPEN_EYES)
        height = (blinked.eyes[..., 1].amax(-1) - blinked.eyes[..., 1].amin(-1)).mean(-1)[0]
        read = 1 - blinked.size[0]
    assert np.corrcoef(height, 1 - closure[0])[0, 1] > 0.95
    assert np.corrcoef(read, closure[0])[0, 1] > 0.95
    found, wanted = blink_events(read.double().numpy()), blink_events(closure[0].double().numpy())
    assert abs(len(found) - len(wanted)) <= 0.1 * len(wanted)


def test_habit_is_learned_back() -> None:
    shape = (0.0, 0.3, 0.8, 1.0, 0.6, 0.2, 0.0)
    track = natural_blinks(60_000, 0.4, shape, np.random.default_rng(0), spread=0.4)
    habit = learn_habit(track, np.ones(len(track), bool))
    assert habit.rate_hz == pytest.approx(0.4, rel=0.05)
    assert habit.spread == pytest.approx(0.4, abs=0.06)
    middle = len(habit.shape) // 2
    np.testing.assert_allclose(habit.shape[middle - 3 : middle + 4], shape, atol=0.05)


def test_habit_counts_only_the_time_in_which_the_face_was_seen() -> None:
    track = natural_blinks(5000, 0.5, PUBLISHED_HABIT.shape, np.random.default_rng(0))
    half = np.arange(5000) < 2500
    assert learn_habit(np.where(half, track, np.nan), half).rate_hz == pytest.approx(
        learn_habit(track[:2500], np.ones(2500, bool)).rate_hz
    )


def test_without_blinks_the_published_habit() -> None:
    assert learn_habit(np.zeros(500), np.ones(500, bool)) == PUBLISHED_HABIT
    look_down = np.zeros(500)
    look_down[100:160] = look_down[250:330] = look_down[400:450] = 0.8
    assert learn_habit(look_down, np.ones(500, bool)) == PUBLISHED_HABIT


def test_natural_blinks_are_of_their_generator_and_in_range() -> None:
    one = natural_blinks(3000, 0.5, PUBLISHED_HABIT.shape, np.random.default_rng(5))
    assert np.array_equal(one, natural_blinks(3000, 0.5, PUBLISHED_HABIT.shape, np.random.default_rng(5)))
    assert not np.array_equal(one, natural_blinks(3000, 0.5, PUBLISHED_HABIT.shape, np.random.default_rng(6)))
    assert one.min() == 0
    assert one.max() == 1
    assert natural_blinks(0, 0.5, PUBLISHED_HABIT.shape, np.random.default_rng(5)).shape == (0,)
