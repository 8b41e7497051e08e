from __future__ import annotations

import numpy as np
import pytest
import torch

from talkface.methods.blink_hashgrid.landmark_hash import (
    GRID,
    GROUPS,
    AudioCondition,
    HashEncoding,
    LandmarkCondition,
    PlainEncoding,
    neighbourhood,
)
from talkface.methods.blink_hashgrid.landmark_space import LandmarkSpace


@pytest.fixture
def space() -> LandmarkSpace:
    rng = np.random.default_rng(0)
    space = LandmarkSpace()
    space.fit(rng.normal(size=(80, 68, 3)) + rng.normal(size=(68, 3)) * 5, np.ones(80, bool))
    return space


def test_grid_has_the_resolved_size() -> None:
    assert GRID.total_rows == 21_232
    assert HashEncoding().table.numel() == 42_464


def test_every_landmark_is_in_one_group() -> None:
    assert sorted(point for group in GROUPS for point in group) == list(range(68))
    assert [len(group) for group in GROUPS] == [20, 22, 26]


def slow_lookup(point: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Multiresolution hash encoding by the definition, one corner at a time. Answer ordered feature, then level."""
    out, first = np.zeros((2, 8)), 0
    growth = (64 / 4) ** (1 / 7)
    for level in range(8):
        scale = 4 * growth**level - 1
        nodes = int(np.ceil(round(scale, 6))) + 2
        rows = min(-(-(nodes**3) // 8) * 8, 4096)
        where = point * scale + 0.5
        cell, part = np.floor(where).astype(int), where - np.floor(where)
        for corner in range(8):
            bits = [(corner >> axis) & 1 for axis in range(3)]
            x, y, z = (int(cell[axis]) + bits[axis] for axis in range(3))
            weight = np.prod([part[a] if bits[a] else 1 - part[a] for a in range(3)])
            if nodes**3 <= 4096:
                row = x + nodes * y + nodes * nodes * z
            else:
                row = (x ^ ((y * 2654435761) & 0xFFFFFFFF) ^ ((z * 805459861) & 0xFFFFFFFF)) % 4096
            out[:, level] += weight * table[:, first + row]
        first += rows
    return out.reshape(-1)


def test_codes_are_those_of_the_definition() -> None:
    torch.manual_seed(0)
    net = HashEncoding()
    torch.nn.init.normal_(net.table)
    boxed = torch.rand(1, 68, 3)
    seen: list[torch.Tensor] = []
    net.point.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    net(boxed)
    table = net.table.detach().double().numpy()
    for landmark in (0, 30, 48, 67):
        expected = slow_lookup(boxed[0, landmark].double().numpy(), table)
        np.testing.assert_allclose(seen[0][0, landmark, :16].detach(), expected, atol=2e-4)
    assert torch.equal(seen[0][0, :, 16:], net.index)


@pytest.mark.parametrize("encoding", ["hash", "mlp"])
def test_condition_learns_where_the_mouth_is(space: LandmarkSpace, encoding: str) -> None:
    torch.manual_seed(0)
    condition = LandmarkCondition(encoding)  # type: ignore[arg-type]
    read = torch.nn.Linear(32, 1)
    opening = torch.linspace(-1, 1, 32)
    scored = torch.zeros(32, 5, 68, 3)
    scored[:, :, 57, 1] = opening[:, None]
    optimiser = torch.optim.Adam([*condition.parameters(), *read.parameters()], 1e-2)
    for _ in range(80):
        loss = (read(condition(space, scored, torch.zeros(32, 64)))[:, 0] - opening).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.03


def test_audio_is_added_linearly(space: LandmarkSpace) -> None:
    condition = LandmarkCondition()
    scored, audio = torch.zeros(3, 5, 68, 3), torch.randn(3, 64)
    difference = condition(space, scored, audio) - condition(space, scored, torch.zeros_like(audio))
    assert torch.allclose(difference, audio @ condition.residual.weight.T, atol=1e-5)


def test_noise_comes_from_the_generator(space: LandmarkSpace) -> None:
    condition = LandmarkCondition("mlp")
    scored, audio = torch.zeros(2, 5, 68, 3), torch.zeros(2, 64)
    clean = condition(space, scored, audio)
    one = condition(space, scored, audio, 0.05, torch.Generator().manual_seed(1))
    two = condition(space, scored, audio, 0.05, torch.Generator().manual_seed(1))
    assert torch.equal(one, two)
    assert not torch.equal(one, clean)


def test_plain_encoding_sees_204_numbers() -> None:
    assert PlainEncoding()(torch.zeros(2, 5, 68, 3)).shape == (2, 5, 32)
    assert PlainEncoding().convolutions[0].in_channels == 204


def test_without_landmarks_the_audio_code_is_the_condition() -> None:
    net = AudioCondition(29)
    assert net(torch.randn(3, 8, 16, 29)).shape == (3, 32)


def test_neighbourhood_repeats_the_ends() -> None:
    sequence = torch.arange(10.0)
    assert neighbourhood(sequence, 0).tolist() == [0, 0, 0, 1, 2]
    assert neighbourhood(sequence, 5).tolist() == [3, 4, 5, 6, 7]
    assert neighbourhood(sequence, 9).tolist() == [7, 8, 9, 9, 9]
