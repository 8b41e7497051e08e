"""Face tracks against a straight copy of the protocol on whole sequences (scipy's median filter), and by hand."""

from __future__ import annotations

import numpy as np
from scipy.signal import medfilt

from talkface.metrics.face_tracks import GAP_FRAMES, FaceTracks, Sighting

PICTURE = np.zeros((8, 8, 3), np.uint8)


def mesh(x: float, y: float, width: float, height: float) -> np.ndarray:
    """478 points that fill this box."""
    points = np.random.default_rng(0).uniform(0.1, 0.9, (478, 3))
    points[0], points[1] = 0, 1
    return points * (width, height, 10) + (x, y, 0)


def walk(frames: int, seed: int = 1) -> np.ndarray:
    """x, y, width, height of a box that moves a little."""
    draw = np.random.default_rng(seed)
    return np.array([100, 80, 120, 140]) + np.cumsum(draw.normal(0, 1.5, (frames, 4)), 0)


def tracked(boxes: np.ndarray, missed: set[int] = frozenset()) -> list[Sighting]:
    faces, found = FaceTracks(), []
    for frame, box in enumerate(boxes):
        found += faces.add(PICTURE, None if frame in missed else mesh(*box))
    return found + faces.finish()


def test_places_are_the_median_filtered_boxes() -> None:
    boxes = walk(60)
    found = tracked(boxes)
    assert [one.frame for one in found] == list(range(60)) and {one.track for one in found} == {0}
    centre_x, half = boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 2:].max(1) / 2
    np.testing.assert_allclose([one.place.box[0] for one in found], medfilt(centre_x, 13), atol=1e-9)
    np.testing.assert_allclose([one.place.box[2] for one in found], medfilt(half, 13), atol=1e-9)
    np.testing.assert_allclose([one.size_px for one in found], 2 * half, atol=1e-9)


def test_missed_frames_are_interpolated() -> None:
    boxes = walk(60)
    missed = {20, 21, 22, 40}
    found = tracked(boxes, missed)
    seen = np.array(sorted(set(range(60)) - missed))
    filled = np.stack([np.interp(np.arange(60), seen, column[seen]) for column in boxes.T], 1)
    assert [one.frame for one in found if not one.detected] == sorted(missed)
    expected = medfilt(filled[:, 1] + filled[:, 3] / 2, 13)
    np.testing.assert_allclose([one.place.box[1] for one in found], expected, atol=1e-9)


def test_a_long_absence_ends_the_track() -> None:
    boxes = walk(120)
    for absent in (GAP_FRAMES - 1, GAP_FRAMES):
        found = tracked(boxes, set(range(50, 50 + absent)))
        assert len({one.track for one in found}) == 1 + (absent == GAP_FRAMES)
        frames = [one.frame for one in found]
        assert frames == sorted(set(frames)) and (60 in frames) == (absent < GAP_FRAMES)


def test_a_jump_is_a_cut() -> None:
    boxes = walk(80)
    boxes[40:, 0] += 100
    found = tracked(boxes)
    assert [sum(one.track == track for one in found) for track in (0, 1)] == [40, 40]
    np.testing.assert_allclose(
        [one.place.box[0] for one in found if one.track == 1], medfilt((boxes[:, 0] + boxes[:, 2] / 2)[40:], 13)
    )


def test_few_pictures_are_held() -> None:
    faces = FaceTracks()
    returned = most = 0
    for frame, box in enumerate(walk(300)):
        present = frame % 40 < 20
        returned += len(faces.add(PICTURE, mesh(*box) if present else None))
        most = max(most, frame + 1 - returned)
    assert most <= 6 + GAP_FRAMES + 1


def test_no_face_no_track() -> None:
    faces = FaceTracks()
    assert faces.add(PICTURE, None) == faces.add(PICTURE, np.full((478, 3), np.nan)) == faces.finish() == []
