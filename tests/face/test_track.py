"""Whole tracks: conventions, gaps, broken frames, and (slow) the real clips' targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.face.basis import face_basis
from talkface.face.track import fit_track, track
from talkface.face.truth import draw_motion, observe
from talkface.geometry import angle_between, project, to_world
from talkface.types import Pose


@pytest.fixture(scope="module")
def truth(ict_model):
    basis = face_basis("ict")
    generator = np.random.default_rng(5)
    return observe(basis, generator, draw_motion(basis, generator, 100, 1000.0, 512), 1000.0, (512, 512))


@pytest.fixture(scope="module")
def whole(truth):
    return fit_track(truth.sightings)


def test_landmarks_project_onto_the_detected_ones(whole) -> None:
    """The house's camera, pose and head frame agree: all but the jaw lies on its pixel."""
    placed = to_world(whole.landmarks, whole.pose)
    pixels = np.stack([project(points, whole.camera) for points in placed])
    gap = np.linalg.norm(pixels - whole.landmarks_px, axis=-1)
    assert gap[:, 17:].max() < 0.6
    assert np.median(gap[:, :17]) < 4


def test_pose_is_world_from_head(whole, truth) -> None:
    world = np.diag([1.0, -1.0, -1.0]) @ truth.motion.rotation
    assert np.rad2deg(angle_between(whole.pose.rotation, world)).mean() < 1.0
    assert (whole.pose.translation[:, 2] < -20).all()


def test_everything_is_finite_where_valid(whole) -> None:
    assert whole.valid.all() and set(whole.reason) == {""}
    for name in ("points_px", "landmarks", "closure", "gaze", "expression", "residual"):
        assert np.isfinite(getattr(whole, name)).all(), name
    assert whole.face_model == "ict" and len(whole.expression_names) == whole.expression.shape[1] == 45
    assert np.median(whole.residual) < 0.01


def test_a_gap_is_bridged_and_named(whole, truth) -> None:
    seen = truth.sightings
    points, trusted = seen.points_px.copy(), seen.flow_trusted.copy()
    points[50:55], trusted[50:56] = np.nan, False
    gap = fit_track(replace(seen, points_px=points, flow_trusted=trusted))
    assert [i for i, r in enumerate(gap.reason) if r == "no face"] == list(range(50, 55))
    assert np.isnan(gap.landmarks[50:55]).all() and np.isfinite(gap.pose.rotation).all()
    error = np.rad2deg(angle_between(gap.pose.rotation[50:55], whole.pose.rotation[50:55]))
    assert error.mean() <= 0.5


@pytest.mark.slow
def test_a_long_gap_does_not_harm_its_neighbours(whole, truth) -> None:
    seen = truth.sightings
    points, trusted = seen.points_px.copy(), seen.flow_trusted.copy()
    points[40:70], trusted[40:71] = np.nan, False
    gap = fit_track(replace(seen, points_px=points, flow_trusted=trusted))
    assert np.isfinite(gap.pose.translation).all() and np.isfinite(gap.pose.rotation).all()
    near = np.r_[30:40, 70:80]
    assert np.rad2deg(angle_between(gap.pose.rotation[near], whole.pose.rotation[near])).mean() < 0.6


def test_scrambled_frames_are_rejected_and_others_kept(whole, truth) -> None:
    seen, generator = truth.sightings, np.random.default_rng(0)
    bad = np.array([10, 40, 41, 90])
    points = seen.points_px.copy()
    points[bad, :, :2] += generator.normal(0, 12, (4, 478, 2))
    found = fit_track(replace(seen, points_px=points))
    assert [i for i, r in enumerate(found.reason) if r == "fit"] == list(bad)
    assert not found.valid[bad].any()
    assert np.rad2deg(angle_between(found.pose.rotation, whole.pose.rotation)).max() < 2.0


@pytest.mark.slow
def test_two_people_are_named_and_ignored(truth) -> None:
    several = np.zeros(100, bool)
    several[20:25] = True
    found = fit_track(replace(truth.sightings, several=several))
    assert {found.reason[i] for i in range(20, 25)} == {"two faces"} and found.valid.sum() == 95
    assert np.isnan(found.landmarks[20:25]).all()


def test_a_cut_does_not_drag_the_pose_along(truth) -> None:
    """Two halves that do not belong together: the pose may jump in one frame."""
    seen = truth.sightings
    points, change, trusted = seen.points_px.copy(), seen.change.copy(), seen.flow_trusted.copy()
    points[60:, :, 0] += 60
    change[60], trusted[60] = 40.0, False
    cut = fit_track(replace(seen, points_px=points, change=change, flow_trusted=trusted))
    jump = 60 * -np.median(cut.pose.translation[:, 2]) / cut.camera.focal_px
    step = cut.pose.translation[60, 0] - cut.pose.translation[59, 0]
    assert step == pytest.approx(jump, rel=0.1)


def test_closed_lips_are_closed_and_opening_follows_the_picture(whole, truth) -> None:
    def gap(points: np.ndarray) -> np.ndarray:
        pairs = ((61, 67), (62, 66), (63, 65))
        return np.mean([np.linalg.norm(points[:, a] - points[:, b], axis=-1) for a, b in pairs], 0)

    assert np.corrcoef(gap(whole.landmarks), gap(whole.landmarks_px))[0, 1] >= 0.96


@pytest.mark.parametrize("source", [pytest.param("canonical", marks=pytest.mark.slow), "average"])
def test_without_the_face_model(truth, source) -> None:
    from talkface import assets

    if source == "canonical" and assets.find("canonical") is None:
        pytest.skip("FACE MODEL ABSENT: canonical face")
    found = fit_track(truth.sightings, basis=face_basis(source))
    world = np.diag([1.0, -1.0, -1.0]) @ truth.motion.rotation
    assert found.face_model == source and found.valid.all()
    assert np.rad2deg(angle_between(found.pose.rotation, world)).mean() < 5.0
    assert np.median(found.residual) < 0.01
    assert isinstance(found.pose[10:20], Pose)


def test_no_face_and_no_frames_are_one_sentence(truth) -> None:
    nothing = np.full_like(truth.sightings.points_px, np.nan)
    with pytest.raises(UserError, match="no face"):
        fit_track(replace(truth.sightings, points_px=nothing))
    pytest.importorskip("mediapipe")
    with pytest.raises(UserError, match="no frames"):
        track(iter(()), face_model="average")
    with pytest.raises(UserError, match="frame 1 is 8x8"):
        track(iter([np.zeros((16, 16, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)]), face_model="average")


def test_one_picture_is_a_clip_of_one_frame(shared_data) -> None:
    pytest.importorskip("mediapipe")
    from PIL import Image

    portrait = np.array(Image.open(shared_data / "portraits" / "astronaut.png").convert("RGB"))
    seen: list[int] = []
    found = track([portrait], face_model="average", on_frame=seen.append)
    assert len(found) == 1 and found.valid[0] and seen == [0]


@pytest.mark.slow
@pytest.mark.shared
def test_every_target_of_the_tracker(shared_data, ict_model, tmp_path) -> None:
    from talkface.pipeline.benchmark_tracking import benchmark_tracking

    assert benchmark_tracking(tmp_path, shared_data)["missed"] == []
