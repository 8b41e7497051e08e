"""The three faces that can be fitted share one head frame and size."""

from __future__ import annotations

import numpy as np
import pytest

from talkface import assets
from talkface.errors import UserError
from talkface.face.basis import face_basis
from talkface.face.correspondence import similarity
from talkface.face.flow import FLOW_POINTS
from talkface.geometry import vector_from_rotation


@pytest.mark.parametrize("source", ["canonical", "average"])
def test_a_pose_means_the_same_with_every_face(ict_model, source) -> None:
    if assets.find("canonical") is None:
        pytest.skip("FACE MODEL ABSENT: canonical face")
    ours, theirs = face_basis(source), face_basis("ict")
    scale, turn, shift = similarity(ours.neutral, theirs.neutral)
    assert np.rad2deg(np.linalg.norm(vector_from_rotation(turn))) < 1.0
    assert scale == pytest.approx(1.0, abs=0.03) and np.linalg.norm(shift) < 0.5
    assert np.linalg.norm(ours.eyeballs - theirs.eyeballs, axis=1).max() < 0.5


def test_the_average_face_is_a_symmetric_face() -> None:
    face = face_basis("average").neutral
    for right, left in ((33, 263), (133, 362), (61, 291), (159, 386), (50, 280)):
        np.testing.assert_allclose(face[right] * (-1, 1, 1), face[left], atol=1e-4)
    assert face[33, 0] < 0 < face[263, 0]
    assert face[10, 1] > face[168, 1] > face[4, 1] > face[13, 1] > face[152, 1]
    assert face[4, 2] == face[:, 2].max()


def test_smooth_modes_are_no_rigid_shift_and_of_the_stated_size() -> None:
    basis = face_basis("average")
    size = np.sqrt((basis.identity**2).sum(-1).mean(-1))
    np.testing.assert_allclose(size, 0.12, rtol=1e-6)
    assert np.abs(basis.identity.mean(1)).max() < 1e-6


def test_flow_points_hardly_move_with_expressions(ict_model) -> None:
    """They stand for the skull: nothing but cheeks puffed or noses wrinkled moves them by more than 3 mm."""
    basis = face_basis("ict")
    calm = [i for i, n in enumerate(basis.names) if n.startswith(("jawOpen", "mouthPucker", "brow", "eyeBlink"))]
    move = np.linalg.norm(basis.expression[calm][:, list(FLOW_POINTS)], axis=-1)
    assert np.median(move.max(1)) < 0.3
    mouth = np.linalg.norm(basis.expression[basis.names.index("jawOpen"), [13, 14, 17]], axis=-1)
    assert move.max() < mouth.max()


def test_looks_are_left_out_and_lids_are_named(ict_model) -> None:
    basis = face_basis("ict")
    assert len(basis.names) == 45 and not any(n.startswith("eyeLook") for n in basis.names)
    assert [basis.names[i] for i in basis.blink] == ["eyeBlink_R", "eyeBlink_L"]
    assert basis.weight_sd[basis.names.index("jawForward")] == 0.1
    assert basis.weight_sd[basis.names.index("jawOpen")] == 0.4


def test_an_absent_model_is_named(monkeypatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: [assets.Path("/nowhere")])
    with pytest.raises(UserError, match="mediapipe_canonical_face"):
        face_basis("canonical")
    assert face_basis("auto").name == "average"
