"""What drives the field knows of the mouth, not of the lids."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from talkface.methods.blink_hashgrid.field_condition import BROWS, MOUTH_AND_CHIN, LandmarkComponents

FRAMES = 400


@pytest.fixture(scope="module")
def face() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks whose mouth opens and whose brows and chin go with the lids; openings; closures."""
    generator = np.random.default_rng(0)
    opening, closure = generator.normal(size=FRAMES), (generator.random(FRAMES) < 0.1) * 0.9
    landmarks = generator.normal(size=(68, 3)) + 0.01 * generator.normal(size=(FRAMES, 68, 3))
    landmarks[:, 57, 1] -= opening
    landmarks[:, 8, 1] -= opening + closure
    landmarks[:, list(BROWS), 1] -= 0.5 * closure[:, None]
    return landmarks, opening, closure


def test_a_blink_leaves_no_trace_in_the_drive(face) -> None:
    landmarks, opening, closure = face
    components = LandmarkComponents(mouth=8, brow=2, clamp=10)
    components.fit(landmarks, closure)
    points, lids = torch.from_numpy(landmarks).float(), torch.from_numpy(closure).float()[:, None]
    drive = components(points, lids).numpy()
    assert abs(np.corrcoef(drive[:, 0], opening)[0, 1]) > 0.99
    with_lids = [abs(np.corrcoef(column, closure)[0, 1]) for column in drive.T]
    assert max(with_lids) < 0.02
    untouched = components(points).numpy()
    assert max(abs(np.corrcoef(column, closure)[0, 1]) for column in untouched.T) > 0.2, "the blink was there to remove"


def test_landmarks_that_no_blink_has_moved_need_no_closure(face) -> None:
    landmarks, _, closure = face
    components = LandmarkComponents()
    components.fit(landmarks, closure)
    rest = torch.from_numpy(landmarks.mean(0)).float()
    usual = torch.tensor([float(closure.mean())])
    assert torch.allclose(components(rest), components(rest, usual), atol=1e-6)


def test_unseen_mouths_are_cut_and_lost_points_count_as_the_mean(face) -> None:
    landmarks, _, closure = face
    components = LandmarkComponents(clamp=2.5)
    components.fit(landmarks, closure)
    wide = torch.from_numpy(landmarks.mean(0)).float()
    wide[list(MOUTH_AND_CHIN), 1] -= 50
    assert components(wide).abs().max() == 2.5
    lost = torch.full((68, 3), torch.nan)
    assert torch.equal(components(lost), torch.zeros(10))


def test_closure_that_never_changes_takes_nothing_out(face) -> None:
    landmarks, _, _ = face
    components = LandmarkComponents()
    components.fit(landmarks, np.zeros(FRAMES))
    assert torch.equal(components.by_lids, torch.zeros(68 * 3))


def test_components_whiten_and_clamp() -> None:
    rng = np.random.default_rng(0)
    faces = np.zeros((400, 68, 3))
    faces[:, 48:68, 1] = rng.normal(size=(400, 1)) * np.linspace(-1, 1, 20)
    faces[:, 17:27, 1] = rng.normal(size=(400, 1)) * 0.3
    faces[7] = np.nan
    components = LandmarkComponents(mouth=3, brow=1)
    components.fit(faces, np.zeros(400))
    values = components(torch.from_numpy(np.delete(faces, 7, 0)).float())
    inside = values.abs() < 2.4
    assert values[:, 0].std() == pytest.approx(1, abs=0.05) and values[:, 3].std() == pytest.approx(1, abs=0.05)
    assert values[:, 1:3].abs().max() < 1e-3, "directions without any variance stay silent"
    assert inside.float().mean() > 0.9
    assert components(torch.full((68, 3), 50.0)).abs().max() <= 2.5
    assert components(torch.full((68, 3), torch.nan)).eq(0).all()
