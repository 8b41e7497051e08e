"""The link between mesh points and the face model, against brute force and anatomy."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.face.correspondence import closest_on_mesh, correspondence, find_correspondence, similarity
from talkface.geometry import rotation_from_vector


def test_similarity_is_recovered() -> None:
    generator = np.random.default_rng(0)
    points = generator.standard_normal((20, 3))
    turn = rotation_from_vector(np.array([0.3, -0.9, 0.4]))
    scale, rotation, shift = similarity(points, 2.5 * points @ turn.T + (1, 2, 3))
    assert scale == pytest.approx(2.5)
    np.testing.assert_allclose(rotation, turn, atol=1e-9)
    np.testing.assert_allclose(shift, (1, 2, 3), atol=1e-9)


def test_closest_point_agrees_with_dense_sampling() -> None:
    generator = np.random.default_rng(1)
    vertices = generator.standard_normal((9, 3))
    triangles = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    points = 2 * generator.standard_normal((30, 3))
    corners, weights = closest_on_mesh(points, vertices, triangles)
    assert (weights >= -1e-12).all()
    np.testing.assert_allclose(weights.sum(1), 1)
    foot = np.einsum("kcx,kc->kx", vertices[corners], weights)
    grid = np.array([(a, b, 1 - a - b) for a in np.linspace(0, 1, 101) for b in np.linspace(0, 1 - a, 101)])
    dense = np.concatenate([grid @ vertices[t] for t in triangles])
    best = np.linalg.norm(points[:, None] - dense, axis=-1).min(1)
    found = np.linalg.norm(points - foot, axis=-1)
    assert (found <= best + 1e-9).all() and (found > best - 0.05).all()


@pytest.fixture(scope="module")
def canonical():
    from talkface import assets

    if assets.find("canonical") is None:
        pytest.skip("FACE MODEL ABSENT: canonical face")
    from talkface.face.basis import canonical_face

    return canonical_face()


def test_permuted_vertices_raise_the_alarm(ict_model, canonical) -> None:
    with pytest.raises(UserError, match="landmark order"):
        find_correspondence(ict_model, np.roll(canonical, 1, axis=0))


@pytest.fixture(scope="module")
def link(ict_model, canonical):
    return correspondence(ict_model, canonical)


def test_points_lie_where_the_model_says_its_landmarks_are(ict_model, link) -> None:
    """Eye and mouth corners, nose base: named by both parties independently."""
    points = link.gather(ict_model.neutral.astype(float))
    named = {33: 36, 133: 39, 362: 42, 263: 45, 61: 48, 291: 54, 2: 33, 0: 51, 17: 57, 13: 62, 14: 66}
    theirs = ict_model.neutral[ict_model.landmarks68[list(named.values())]]
    assert np.linalg.norm(points[list(named)] - theirs, axis=1).max() < 0.15
    # Brows, and nose tip, which no hard pair fixes.
    soft = {105: 19, 334: 24, 66: 20, 296: 23}
    theirs = ict_model.neutral[ict_model.landmarks68[list(soft.values())]]
    assert np.linalg.norm(points[list(soft)] - theirs, axis=1).max() < 0.8


def test_a_wink_moves_one_eye(ict_model, link) -> None:
    """Subject's left is +x; mesh point 159 is the subject's right upper lid."""
    left = link.gather(ict_model.expression[ict_model.expression_names.index("eyeBlink_L")].astype(float))
    assert left[386, 1] < -0.5 and abs(left[159, 1]) < 0.01
    points = link.gather(ict_model.neutral.astype(float))
    assert points[386, 0] > 2 and points[159, 0] < -2


def test_the_fit_to_the_canonical_face_is_close(ict_model, canonical, link) -> None:
    points = link.gather(ict_model.neutral.astype(float))
    scale, turn, shift = similarity(canonical, points)
    assert scale == pytest.approx(1.0, abs=0.03)
    error = np.linalg.norm(scale * canonical @ turn.T + shift - points, axis=1)
    assert np.median(error) < 0.25, "the canonical face and ICT's mean face are different people, but not by more"


def test_the_cache_is_used_and_survives_a_broken_file(ict_model, canonical, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = correspondence(ict_model, canonical)
    (file,) = (tmp_path / "talkface").iterdir()
    np.testing.assert_array_equal(correspondence(ict_model, canonical).corners, first.corners)
    file.write_bytes(b"torn")
    np.testing.assert_array_equal(correspondence(ict_model, canonical).weights, first.weights)
