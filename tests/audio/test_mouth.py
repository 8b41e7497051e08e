"""Landmarks to mouth values and back."""

from __future__ import annotations

import numpy as np

from talkface.audio.mouth import MOVING, VALUES, MouthSpace, eye_distance, opening, width


def test_values_and_landmarks_are_inverse(talking) -> None:
    _, landmarks, _ = talking(20.0)
    space = MouthSpace.of(landmarks)
    values = space.encode(landmarks)
    assert values.shape == (500, VALUES)
    back = space.decode(values)
    # Where noise lets closed lips pass through each other the decoded lips just touch.
    apart = opening(landmarks) > 0.1
    assert apart.sum() > 200
    np.testing.assert_allclose(back[apart][:, MOVING], landmarks[apart][:, MOVING], atol=1e-3)
    np.testing.assert_allclose(back[:, MOVING], landmarks[:, MOVING], atol=0.15)
    still = np.setdiff1d(np.arange(68), MOVING)
    np.testing.assert_array_equal(back[:, still], np.broadcast_to(space.mean[still], back[:, still].shape))


def test_decoded_points_show_the_predicted_opening_and_width(talking) -> None:
    _, landmarks, _ = talking(20.0)
    space = MouthSpace.of(landmarks)
    values = space.encode(landmarks)
    values[:, 0] *= 1.3
    values[:, 1] *= 0.7
    shown = space.decode(values)
    wanted = np.maximum((values[:, :2] + space.shape) * space.iod_cm, 0)
    np.testing.assert_allclose(width(shown), wanted[:, 1], atol=0.02)
    np.testing.assert_allclose(opening(shown), wanted[:, 0], atol=1e-4)


def test_a_negative_opening_is_a_shut_mouth(talking) -> None:
    _, landmarks, _ = talking(20.0)
    space = MouthSpace.of(landmarks)
    values = space.encode(landmarks)[:50]
    values[:, 0] = -1.0
    assert opening(space.decode(values)).max() < 1e-3
    assert abs(eye_distance(landmarks) - 8.8) < 0.05
