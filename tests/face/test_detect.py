"""Detected points against geometry that must hold for any face, and counting faces."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mediapipe")

from talkface.face.detect import FACE_OVAL, LANDMARKS_68, Detector

MIRROR_68 = [
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
]  # fmt: skip


@pytest.fixture(scope="module")
def portrait(shared_data):
    from PIL import Image

    return np.array(Image.open(shared_data / "portraits" / "astronaut.png").convert("RGB"))


@pytest.fixture(scope="module")
def found(portrait):
    with Detector() as detector:
        return detector.detect(portrait)


def test_the_68_are_distinct_and_mirror_each_other_on_the_average_face() -> None:
    from talkface.face.basis import face_basis

    assert len(set(LANDMARKS_68)) == 68
    points = face_basis("average").neutral[list(LANDMARKS_68)]
    np.testing.assert_allclose(points[MIRROR_68] * (-1, 1, 1), points, atol=0.12)


def test_landmarks_of_a_portrait_are_where_a_face_has_them(found) -> None:
    x, y = found[list(LANDMARKS_68), :2].T
    assert (x[36:42].mean() < x[42:48].mean()) and (np.diff(x[27:31]).std() < 5)
    assert y[17:27].mean() < y[36:48].mean() < y[30] < y[48:68].mean() < y[8]
    assert (np.diff(x[:17]) > -2).all(), "the jaw runs from the viewer's left to right"
    inside = found[:468, :2]
    oval = found[list(FACE_OVAL), :2]
    assert (inside.min(0) > oval.min(0) - 3).all() and (inside.max(0) < oval.max(0) + 3).all()


def test_the_nose_is_nearer_than_the_ears(found) -> None:
    assert found[4, 2] < found[[127, 356], 2].min() - 20


def test_points_follow_the_picture_by_whole_pixels(portrait, found) -> None:
    """Corner convention: padding on the left and top moves every point by just that much."""
    padded = np.pad(portrait, ((16, 0), (32, 0), (0, 0)), mode="edge")
    with Detector() as detector:
        moved = detector.detect(padded)
    error = np.linalg.norm(moved[:468, :2] - found[:468, :2] - (32, 16), axis=1)
    assert np.median(error) < 0.02 * np.linalg.norm(found[468, :2] - found[473, :2])


def test_no_face_is_none() -> None:
    with Detector() as detector:
        assert detector.detect(np.full((120, 160, 3), 90, np.uint8)) is None


def test_a_second_person_is_counted(portrait) -> None:
    face = portrait[:300, 80:380]
    both = np.concatenate([face, face], 1)
    with Detector() as detector:
        detector.detect(face)
        assert not detector.several_faces
    with Detector() as detector:
        detector.detect(both)
        assert detector.several_faces
