"""The drawn speaker is held against geometry: what is drawn must be where the truth says, from every viewpoint."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import numpy as np
import pytest

from talkface import assets
from talkface.data.synthetic.articulation import EMOTIONS
from talkface.data.synthetic.figure import HEAD, lid_gaps
from talkface.data.synthetic.speaker import SpeakerConfig, SyntheticSpeaker, _person
from talkface.errors import UserError
from talkface.geometry import orbit, project, rotation_from_angles
from talkface.types import Pose

HEADS = [
    pytest.param("ict", marks=pytest.mark.skipif(assets.find("ict") is None, reason="FACE MODEL ABSENT")),
    "builtin",
]


@pytest.fixture(scope="module", params=HEADS)
def speaker(request) -> SyntheticSpeaker:
    config = SpeakerConfig(seed=5, size_px=128, seconds=2.0, head=request.param, recorded=True, blinks_per_minute=0.0)
    return SyntheticSpeaker(config)


def quiet(speaker: SyntheticSpeaker) -> dict[str, float]:
    return dict.fromkeys(speaker.figure.model.expression_names, 0.0)


def frontal(speaker: SyntheticSpeaker, yaw_deg: float = 0.0, pitch_deg: float = 0.0) -> Pose:
    turned = rotation_from_angles(np.radians(yaw_deg), np.radians(pitch_deg), 0.0)
    return Pose(turned[None], np.array([[0.0, -1.0, -77.0]]))


def test_same_seed_same_pictures_and_sound(speaker) -> None:
    _person.cache_clear()
    again = SyntheticSpeaker(speaker.config)
    assert np.array_equal(again.picture(7), speaker.picture(7))
    assert np.array_equal(again.speech.waveform, speaker.speech.waveform)
    other = SyntheticSpeaker(replace(speaker.config, seed=6))
    assert np.abs(other.frame(7).colour - speaker.frame(7).colour).mean() > 0.05


def test_identity_is_independent_of_the_seed(speaker) -> None:
    one = SyntheticSpeaker(replace(speaker.config, seed=1, identity=9))
    two = SyntheticSpeaker(replace(speaker.config, seed=2, identity=9))
    assert np.array_equal(one.identity, two.identity)
    assert np.array_equal(one.figure.texture, two.figure.texture)
    assert not np.allclose(one.pose.rotation, two.pose.rotation)


def test_track_projects_onto_the_picture(speaker) -> None:
    track = speaker.track
    assert len(track) == speaker.frames == 50
    world = track.landmarks[9] @ track.pose.rotation[9].T + track.pose.translation[9]
    assert np.allclose(project(world, track.camera), track.landmarks_px[9])
    assert np.allclose(speaker.frame(9).landmarks_px, track.landmarks_px[9], atol=1e-3)
    known = np.isfinite(track.points_px).all((0, 2))
    assert known.sum() == 68


def test_head_turns_to_the_viewers_right_with_positive_yaw(speaker) -> None:
    left, right = (speaker.frame(0, pose=frontal(speaker, yaw)).landmarks_px for yaw in (-15, 15))
    nose_from_jaw = [marks[30, 0] - marks[[0, 16], 0].mean() for marks in (left, right)]
    assert nose_from_jaw[0] < -3 and nose_from_jaw[1] > 3
    up, down = (speaker.frame(0, pose=frontal(speaker, 0, pitch)).landmarks_px for pitch in (12, -12))
    assert up[30, 1] - up[[0, 16], 1].mean() < down[30, 1] - down[[0, 16], 1].mean() - 5


def test_irises_are_dark_where_the_eyes_are_and_lips_are_red(speaker) -> None:
    view = speaker.camera.resized((384, 384))
    picture = speaker.frame(0, camera=view, pose=frontal(speaker), expression=quiet(speaker), gaze=(0.0, 0.0))
    marks = picture.landmarks_px

    def patch(x: float, y: float, radius: int = 2) -> np.ndarray:
        row, column = int(y), int(x)
        return picture.colour[row - radius : row + radius + 1, column - radius : column + radius + 1].mean((0, 1))

    cheek = patch(*((marks[31] + marks[4]) / 2))
    for lids in (slice(36, 42), slice(42, 48)):
        assert patch(*marks[lids].mean(0)).mean() < 0.6 * cheek.mean()
    lower_lip = patch(*((marks[57] + marks[66]) / 2))
    assert lower_lip[0] / lower_lip[1] > 1.1 * cheek[0] / cheek[1]


def test_outlines_follow_the_jaw(speaker) -> None:
    picture = speaker.frame(0, camera=speaker.camera.resized((384, 384)), pose=frontal(speaker))
    for x, y in picture.landmarks_px[17:68]:
        assert picture.labels[int(y), int(x)] == HEAD
    chin = picture.landmarks_px[8]
    column = picture.labels[:, int(chin[0])]
    lowest = np.flatnonzero(column == HEAD).max()
    assert abs(lowest - chin[1]) < 0.10 * np.linalg.norm(picture.landmarks_px[36] - picture.landmarks_px[45])


def test_lids_close_by_the_commanded_share(speaker) -> None:
    pose, still = frontal(speaker), quiet(speaker)
    figure = speaker.figure
    gaps, white = [], []
    levels = [0.0, 0.25, 0.5, 0.75, 1.0]
    view = speaker.camera.resized((512, 512))
    for level in levels:
        weights = np.zeros(len(figure.model.expression))
        for side, column in enumerate(figure.blink_columns):
            weights[column] = figure.blink_weight(np.array([level]), side)[0]
        gaps.append(lid_gaps(figure.landmarks(figure.face(weights))))
        shown = {figure.model.expression_names[c]: weights[c] for c in figure.blink_columns}
        picture = speaker.frame(0, camera=view, pose=pose, expression=still | shown, gaze=(0.0, 0.0))
        x, y = (int(v) for v in picture.landmarks_px[36:42].mean(0))
        white.append(picture.colour[y - 9 : y + 10, x - 14 : x + 15])
    share = (gaps[0] - np.array(gaps)) / (gaps[0] - gaps[-1])
    assert np.allclose(share, np.array(levels)[:, None], atol=0.03)
    assert gaps[-1].max() < 0.25 * gaps[0].min()
    # In the picture: the white of the eye, which has less colour than skin, goes as the lids come down.
    shown_white = [((eye.max(-1) - eye.min(-1)) < 0.16 * eye.max(-1)).mean() for eye in white]
    assert shown_white[0] > 0.1 and shown_white[-1] < 0.25 * shown_white[0] and shown_white[3] < shown_white[1]


def test_another_viewpoint_shows_the_same_moment(speaker) -> None:
    """Each pixel of one view, moved by its depth into the other, lands on the same label (where it is not hidden)."""
    base = speaker.frame(12)
    centre = speaker.pose.translation[12]
    other_camera = orbit(speaker.camera, centre, np.radians(8), np.radians(4))
    other = speaker.frame(12, camera=other_camera)
    height, width = speaker.camera.size_px
    y, x = np.nonzero((base.alpha > 0.99) & (base.labels == HEAD))
    z = base.depth[y, x]
    rays = np.stack([x + 0.5 - width / 2, y + 0.5 - height / 2, np.full(len(x), speaker.camera.focal_px)], -1)
    world = rays / speaker.camera.focal_px * z[:, None] * (1, -1, -1)
    into = np.linalg.inv(other_camera.world_from_camera)
    depth = (world @ into[:3, :3].T + into[:3, 3])[:, 2]
    px = np.floor(project(world, other_camera)).astype(int).clip(0, width - 1)
    seen = other.depth[px[:, 1], px[:, 0]]
    visible = np.abs(seen - depth) < 0.6
    assert visible.mean() > 0.8
    assert (other.labels[px[visible, 1], px[visible, 0]] == HEAD).mean() > 0.97
    difference = np.abs(other.colour[px[visible, 1], px[visible, 0]] - base.colour[y[visible], x[visible]]).mean(1)
    assert np.median(difference) < 0.04


def test_labels_alpha_and_torso_agree(speaker) -> None:
    picture = speaker.frame(20)
    assert (picture.labels[picture.alpha > 0.75] > 0).all() and (picture.labels[picture.alpha <= 0.25] == 0).all()
    assert np.all(picture.head_alpha <= picture.alpha + 1e-6)
    assert np.isinf(picture.depth[picture.alpha == 0]).all()
    assert set(np.unique(picture.labels)) == {0, 1, 2, 3}
    bare = picture.alpha == 0
    assert np.allclose(picture.colour[bare], speaker.background()[bare], atol=1e-5)
    torso = speaker.torso(20)
    body = (picture.labels == 3) & (picture.alpha == 1) & (picture.head_alpha == 0)
    assert (torso[body, 3] == 1).all()
    assert np.median(np.abs(torso[body, :3] - picture.colour[body])) < 0.01


@pytest.mark.parametrize("emotion", [name for name in EMOTIONS if name != "neutral"])
def test_every_emotion_moves_the_face(speaker, emotion) -> None:
    moved = SyntheticSpeaker(replace(speaker.config, emotion=emotion))
    calm = SyntheticSpeaker(replace(speaker.config, emotion="neutral"))
    difference = np.linalg.norm(moved.track.landmarks - calm.track.landmarks, axis=-1)
    assert difference.max(1).mean() > 0.12
    assert np.allclose(moved.pose.translation, calm.pose.translation)


def test_lips_meet_at_p_b_m_and_part_at_open_vowels(speaker) -> None:
    long = SyntheticSpeaker(replace(speaker.config, seconds=20.0))
    marks = long.track.landmarks
    opening = np.linalg.norm(marks[:, [61, 62, 63]] - marks[:, [67, 66, 65]], axis=-1).mean(1)

    def during(sounds: tuple[str, ...]) -> np.ndarray:
        spans = [(p.start_s + p.end_s) / 2 for p in long.phonemes if p.symbol.strip("',") in sounds]
        return opening[[min(int(t * 25), long.frames - 1) for t in spans]]

    shut, parted = during(("p", "b", "m")), during(("a", "A:", "0", "aI", "aU", "V", "aa"))
    assert len(shut) > 5 and len(parted) > 5
    assert np.median(shut) < 0.35 * np.median(parted)


def test_closed_lips_of_the_builtin_head_meet_and_do_not_pass_each_other() -> None:
    config = SpeakerConfig(seed=5, size_px=64, seconds=0.2, head="builtin", recorded=True)
    figure = SyntheticSpeaker(config).figure
    names = figure.model.expression_names
    rest = figure.model.neutral[figure.model.landmarks68]

    def gap(**weights: float) -> np.ndarray:
        moved = rest.copy()
        for name, weight in weights.items():
            moved = moved + weight * figure.model.expression[names.index(name)][figure.model.landmarks68]
        return moved[[61, 62, 63]] - moved[[67, 66, 65]]

    assert gap(jawOpen=1.0)[:, 1].min() > 2.5
    shut = gap(jawOpen=0.3, mouthClose=0.3, mouthPress_L=0.25, mouthPress_R=0.25, mouthRollUpper=0.1)
    assert np.abs(shut[:, 1:]).max() < 0.12, "cm; 1.1 cm apart without mouthClose"


def test_a_commanded_blink_track_is_the_truth(speaker) -> None:
    command = np.zeros((speaker.frames, 2))
    command[10:13] = 1.0
    made = SyntheticSpeaker(speaker.config, closure=command)
    assert np.array_equal(made.track.closure, command)
    gap = lid_gaps(made.track.landmarks)
    assert gap[11].max() < 0.3 * gap[5].min()
    with pytest.raises(UserError, match="shape"):
        SyntheticSpeaker(speaker.config, closure=command[:3])


def test_bad_configurations_are_named() -> None:
    for wrong in ({"head": "clay"}, {"size_px": 8}, {"seconds": 0.0}, {"fps": 0.0}):
        with pytest.raises(UserError):
            SpeakerConfig(**wrong)
    for wrong in ({"voice": "robot"}, {"emotion": "hungry"}):
        with pytest.raises(UserError):
            SyntheticSpeaker(SpeakerConfig(seconds=1.0, size_px=64, head="builtin", **wrong))


def test_a_frame_is_drawn_in_reasonable_time() -> None:
    made = SyntheticSpeaker(SpeakerConfig(size_px=256, seconds=1.0, head="builtin", recorded=True))
    made.frame(0)
    begin = time.process_time()
    for index in range(5):
        made.frame(index)
    bound_s = 0.25 * float(os.environ.get("TALKFACE_SLOWNESS", "1"))
    assert (time.process_time() - begin) / 5 < bound_s
