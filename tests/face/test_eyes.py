"""Lids, blinks, gaze and OpenFace tables against known answers."""

from __future__ import annotations

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.face.eyes import (
    blink_events,
    event_f1,
    gaze_angles,
    lid_closure,
    lid_opening,
    read_openface,
    write_openface,
)


def eye_track(frames: int = 300, blinks: tuple[int, ...] = (40, 120, 200)) -> np.ndarray:
    opening = np.full((frames, 2), 0.30) + 0.003 * np.random.default_rng(0).standard_normal((frames, 2))
    for at in blinks:
        opening[at : at + 5] = np.array([0.2, 0.09, 0.05, 0.12, 0.22])[:, None]
    return opening


def test_opening_is_the_mean_gap_over_the_width() -> None:
    points = np.zeros((1, 478, 3))
    points[0, [33, 133], 0] = 0, 40
    points[0, [160, 159, 158], 1] = 5, 6, 7
    points[0, [144, 145, 153], 1] = -5, -6, -7
    points[0, [362, 263], 0] = 60, 110
    assert lid_opening(points)[0] == pytest.approx((12 / 40, 0.0))


def test_blinks_are_closed_and_the_rest_open() -> None:
    closure = lid_closure(eye_track())
    assert closure[[42, 122, 202]].min() > 0.95
    still = np.setdiff1d(np.arange(300), [f + k for f in (40, 120, 200) for k in range(5)])
    assert closure[still].max() < 0.1
    assert [e[0] for e in blink_events(closure.mean(1))] == [41, 121, 201]


def test_no_blink_is_invented() -> None:
    assert blink_events(lid_closure(eye_track(blinks=())).mean(1)) == []


def test_unknown_frames_stay_unknown() -> None:
    opening = eye_track()
    opening[60:70] = np.nan
    closure = lid_closure(opening)
    assert np.isnan(closure[60:70]).all() and np.isfinite(np.delete(closure, range(60, 70), 0)).all()


def test_events_have_hysteresis_and_merge() -> None:
    assert blink_events(np.array([0, 0.6, 0.4, 0.6, 0.2, 0.0, 0.6, 0.1, 0, 0, 0, 0, 0, 0.55])) == [(1, 7), (13, 14)]


def test_event_f1_by_hand() -> None:
    assert event_f1([(10, 14), (50, 54)], [(11, 13), (80, 82)]) == pytest.approx(0.5)
    assert event_f1([], []) == 1.0


def test_gaze_is_recovered_from_projected_irises() -> None:
    yaw, pitch = np.deg2rad([0.0, 12.0, -8.0]), np.deg2rad([0.0, -5.0, 9.0])
    look = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], -1)
    eyeballs = np.array([[-3.2, 3.6, 8.4], [3.2, 3.6, 8.4]])
    head = np.array([1.0, -2.0, -60.0])
    turn = np.broadcast_to(np.eye(3), (3, 3, 3))
    iris = eyeballs + 1.03 * look[:, None] + head
    pixels = np.stack([iris[..., 0] / -iris[..., 2], iris[..., 1] / iris[..., 2]], -1) * 900 + (256, 256)
    found = gaze_angles(pixels, eyeballs, turn, np.broadcast_to(head, (3, 3)), 900.0, (256.0, 256.0), np.zeros((3, 2)))
    np.testing.assert_allclose(found, np.stack([yaw, pitch], -1), atol=1e-6)


def test_gaze_is_held_through_a_blink() -> None:
    eyeballs = np.array([[-3.2, 0, 0], [3.2, 0, 0.0]])
    pixels = np.array([[[200.0, 256], [312, 256]], [[230, 250], [342, 250]], [[200, 256], [312, 256]]])
    closure = np.array([[0.0, 0], [0.9, 0.9], [0, 0]])
    turn, head = np.broadcast_to(np.eye(3), (3, 3, 3)), np.broadcast_to(np.array([0.0, 0, -50]), (3, 3))
    found = gaze_angles(pixels, eyeballs, turn, head, 900.0, (256.0, 256.0), closure)
    np.testing.assert_array_equal(found[1], found[0])


def test_openface_headers_begin_with_spaces(tmp_path) -> None:
    table = tmp_path / "of.csv"
    rows = ["1, 0, 0.000, 0.98, 1, 0.10, 0.00", "2, 0, 0.040, 0.98, 1, 0.10, 2.50", "3, 0, 0.080, 0.2, 0, 0, 5"]
    table.write_text("\n".join(["frame, face_id, timestamp, confidence, success, AU01_r, AU45_r", *rows]) + "\n")
    times, closure = read_openface(table)
    np.testing.assert_allclose(times, [0, 0.04, 0.08])
    np.testing.assert_allclose(closure, [0, 0.5, np.nan])


def test_written_tables_read_back(tmp_path) -> None:
    closure = np.array([0.0, 0.5, np.nan, 1.0])
    write_openface(tmp_path / "au.csv", closure)
    assert (tmp_path / "au.csv").read_text().startswith("frame, face_id, timestamp, confidence, success, AU45_r")
    np.testing.assert_allclose(read_openface(tmp_path / "au.csv")[1], closure, atol=1e-3)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "timestamp, AU45_r\n0, high\n", "timestamp, AU45_r\n0\n"])
def test_broken_tables_are_refused_in_one_sentence(tmp_path, text) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(UserError):
        read_openface(tmp_path / "bad.csv")


def test_lids_that_a_detector_never_sees_meet_still_blink() -> None:
    """Somebody whose shut eyes read as 0.62 of open: their blinks count, noise and a long look down do not."""
    rng = np.random.default_rng(0)
    opening = np.full(500, 0.4) + 0.006 * rng.standard_normal(500)
    for middle in (60, 150, 300, 400):
        opening[middle - 2 : middle + 3] = 0.4 * np.array([0.85, 0.65, 0.62, 0.65, 0.85])
    opening[210:260] = 0.4 * 0.66
    closure = lid_closure(np.stack([opening, opening], 1))
    events = blink_events(closure.mean(1))
    assert [start for start, _ in events if not 205 <= start <= 265] == [59, 149, 299, 399]
    quiet = lid_closure(np.stack([0.4 + 0.006 * rng.standard_normal(500)] * 2, 1))
    assert blink_events(quiet.mean(1)) == []
