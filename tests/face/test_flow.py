"""Optical flow against pictures moved by a known amount."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.face.basis import face_basis
from talkface.face.flow import FLOW_POINTS, Flow
from talkface.face.look import find_blurred, find_cuts

cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def scene():
    generator = np.random.default_rng(0)
    texture = cv2.GaussianBlur(generator.integers(0, 255, (240, 240, 3)).astype(np.uint8), (0, 0), 2.0)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    points = np.zeros((478, 3))
    points[:468] = face_basis("average").neutral * (8, -8, 8) + (120, 150, 0)
    points[468], points[473] = (92, 120, 0), (148, 120, 0)
    return texture, points


def test_a_known_shift_is_measured(scene) -> None:
    texture, points = scene
    moved = cv2.warpAffine(texture, np.array([[1, 0, 2.25], [0, 1, -1.5]]), (240, 240))
    flow = Flow()
    _, first = flow.step(texture, points)
    assert not first.any(), "there is nothing before the first frame"
    motion, trusted = flow.step(moved, points + np.array([2, -2, 0]))
    assert trusted.mean() > 0.9
    np.testing.assert_allclose(motion[trusted], np.broadcast_to((2.25, -1.5), (trusted.sum(), 2)), atol=0.1)


def test_unrelated_pictures_are_not_trusted(scene) -> None:
    texture, points = scene
    flow = Flow()
    flow.step(texture, points)
    _, trusted = flow.step(np.ascontiguousarray(texture[::-1, ::-1]), points)
    assert trusted.mean() < 0.3


def test_a_missing_face_breaks_the_chain(scene) -> None:
    texture, points = scene
    flow = Flow()
    flow.step(texture, points)
    assert not flow.step(texture, None)[1].any()
    assert not flow.step(texture, points)[1].any()
    assert flow.step(texture, points)[1].all()


def test_no_brow_no_forehead() -> None:
    from talkface.face.detect import LANDMARKS_68

    brows = face_basis("average").neutral[list(LANDMARKS_68[17:27])]
    assert face_basis("average").neutral[list(FLOW_POINTS), 1].max() < brows[:, 1].min() + 0.2


def test_cuts_stand_out_from_motion() -> None:
    change = np.abs(np.random.default_rng(1).normal(2.0, 0.5, 200))
    change[60:70] = 8.0  # a fast turn
    change[120] = 25.0
    assert list(np.flatnonzero(find_cuts(change))) == [120]


def test_blur_is_relative_to_the_clip() -> None:
    sharpness = np.full(50, 0.4)
    sharpness[[7, 8]] = 0.05
    sharpness[20] = np.nan
    assert list(np.flatnonzero(find_blurred(sharpness))) == [7, 8]
