"""Action units: the recipes against the face model itself, agreement by hand, OpenFace tables, and fitted truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.metrics import action_units as au
from talkface.metrics.expression import expression_scores, fit_face
from talkface.metrics.face import pose_scores

NAMES = tuple(sorted({f"{shape}{side}" for r in au.RECIPES.values() for shape in r.shares for side in ("_L", "_R")}))


def weights(**given: float) -> np.ndarray:
    """One frame of weights by ARKit name; both sides unless the name has one."""
    row = [given.get(name, given.get(name[:-2], 0.0)) for name in NAMES]
    return np.array([row])


def test_intensities_by_hand() -> None:
    found = au.intensities(weights(mouthSmile=0.6, jawOpen=0.25, browInnerUp_L=0.4, mouthFrown=1.4), NAMES)
    assert found[12] == pytest.approx([3.0])
    assert found[1] == pytest.approx([1.0]), "one side alone counts half"
    assert found[15] == pytest.approx([5.0]), "never above 5"
    assert found[26] == pytest.approx([2.5]) and found[27] == pytest.approx([0.0])
    assert found[25] == pytest.approx([5 * 0.25 / 0.4])
    assert au.intensities(weights(jawOpen=0.75), NAMES)[27] == pytest.approx([2.5])
    sealed = au.intensities(weights(jawOpen=0.3, mouthClose=0.3), NAMES)
    assert sealed[25] == pytest.approx([0.0]) and sealed[26] == pytest.approx([3.0]), "a dropped jaw behind shut lips"
    assert np.isnan(au.intensities(weights(mouthSmile=np.nan, jawOpen=np.nan), NAMES)[12]).all()


def test_expressions_without_names_are_refused() -> None:
    with pytest.raises(UserError, match="ARKit-named"):
        au.intensities(np.zeros((3, 2)), ("mode00", "mode01"))


def test_presence_agreement_by_hand() -> None:
    true = {12: np.array([2.0, 0.5, 3.0, 0.0]), 25: np.array([0.0, 1.0, 2.0, np.nan]), 1: np.full(4, 5.0)}
    rendered = {12: np.array([1.0, 0.0, 0.0, 0.0]), 25: np.array([0.0, 0.0, 4.0, 4.0]), 1: np.zeros(4)}
    a, b = au.present(rendered), au.present(true)
    assert au.accuracy(a, b) == (pytest.approx(5 / 7), 4), "AU1 is no speech AU; NaN counts nowhere"
    assert au.presence_f1(a, b) == pytest.approx(2 * 2 / (2 + 4))
    assert au.accuracy(b, b) == (1.0, 4) and au.presence_f1(b, b) == 1.0
    assert np.isnan(au.accuracy({}, b)[0]) and np.isnan(au.presence_f1({}, b))


def test_intensity_correlation_leaves_out_what_does_not_move() -> None:
    time = np.arange(60)
    true = {12: 2 + np.sin(time), 25: 2 + np.cos(time), 17: np.zeros(60)}
    half_right = {12: true[12] * 0.3, 25: -true[25], 17: np.sin(time)}
    assert au.intensity_correlation(true, true) == pytest.approx(1.0)
    assert au.intensity_correlation(half_right, true) == pytest.approx(0.0)
    assert np.isnan(au.intensity_correlation(true, {17: np.zeros(60)}))


def openface(path: Path, smile: np.ndarray, failed: int | None = None) -> Path:
    lines = ["frame, face_id, timestamp, confidence, success, AU12_r, AU45_r, AU12_c, AU28_c"]
    for index, value in enumerate(smile):
        sure = int(index != failed)
        lines.append(f"{index + 1}, 0, {index / 25:.3f}, 0.98, {sure}, {value:.2f}, 0.00, {int(value >= 1)}.00, 0.00")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_openface_tables_of_both_videos(tmp_path: Path) -> None:
    smile = 2 + 2 * np.sin(np.arange(50) * 0.3)
    true, other = openface(tmp_path / "a.csv", smile), openface(tmp_path / "b.csv", smile[::-1], failed=7)
    same = {s.name: s for s in au.openface_scores(true, true, 50, 25.0)}
    assert same["au"].value == same["au_f1"].value == 1.0 and same["au_r"].value == pytest.approx(1.0)
    found = {s.name: s for s in au.openface_scores(other, true, 50, 25.0)}
    expected = np.delete((smile[::-1] >= 1) == (smile >= 1), 7).mean()
    assert found["au"].value == pytest.approx(expected, abs=0.021), "written with two digits"
    assert found["au"].frames == 49 and found["au"].backend == "openface"
    missing = au.openface_scores(None, true, 50, 25.0)
    assert all(s.value is None and "OpenFace" in s.why for s in missing)


def test_openface_rows_go_to_the_nearest_frame(tmp_path: Path) -> None:
    table = openface(tmp_path / "a.csv", np.array([0.0, 1.0, 2.0]))
    levels, _ = au.read_action_units(table, 6, 50.0)
    np.testing.assert_allclose(levels[12][:5:2], [0, 1, 2])
    assert np.isnan(au.read_action_units(table, 6, 25.0)[0][12][4:]).all(), "beyond the table"


@pytest.mark.parametrize("text", ["frame, timestamp, success\n1, 0, 1\n", "frame, AU12_r\n1, much\n", ""])
def test_broken_tables_are_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"t\.csv"):
        au.read_action_units(path, 5, 25.0)


def test_lips_part_as_the_face_model_says(ict_model) -> None:
    """The shares of AU25 against the inner lips' gap of the model's own shapes."""

    def gap(shape: np.ndarray) -> float:
        lips = shape[ict_model.landmarks68]
        return float(np.mean([lips[a, 1] - lips[b, 1] for a, b in ((61, 67), (62, 66), (63, 65))]))

    moves = {}
    for name, mode in zip(ict_model.expression_names, ict_model.expression, strict=True):
        shape = name.removesuffix("_L").removesuffix("_R")
        moves[shape] = moves.get(shape, 0.0) + gap(ict_model.neutral + mode) - gap(ict_model.neutral)
    for shape, share in au.LIPS_PART.items():
        assert moves[shape] / moves["jawOpen"] == pytest.approx(share, abs=0.02), shape


SWEPT = ("mouthUpperUp", "mouthSmile", "mouthDimple", "mouthFrown", "mouthShrugLower", "mouthStretch", "mouthPress")


@pytest.fixture(scope="module")
def moving(ict_model):
    """Points of somebody whose speech AUs move, seen with the detector's noise, and the weights behind them."""
    from talkface.face.basis import face_basis
    from talkface.face.truth import draw_motion, observe

    basis = face_basis("ict")
    generator = np.random.default_rng(11)
    motion = draw_motion(basis, generator, 120, 1000.0, 512)
    quiet = motion.expression * 0.2
    for place, shape in enumerate(SWEPT):
        wave = 0.35 * (1 - np.cos(2 * np.pi * (np.arange(120) * (1 + 0.37 * place) / 40)))
        for name in (name for name in basis.names if name.startswith(shape)):
            quiet[:, basis.names.index(name)] = wave
    quiet[:, basis.names.index("jawOpen")] = 0.2 * (1 - np.cos(np.arange(120) * 0.9))
    truth = observe(basis, generator, replace(motion, expression=quiet), 1000.0, (512, 512))
    return truth, quiet, basis.names


@pytest.fixture(scope="module")
def fitted(moving):
    return fit_face(moving[0].sightings.points_px, (512, 512), 25.0)


def test_fitted_action_units_follow_known_weights(moving, fitted) -> None:
    _, known, names = moving
    found, true = au.intensities(fitted.expression, fitted.names), au.intensities(known, names)
    follows = {unit: np.corrcoef(found[unit], true[unit])[0, 1] for unit in au.SPEECH_UNITS}
    assert min(follows[u] for u in (10, 12, 25, 26)) >= 0.8, follows
    assert np.mean(list(follows.values())) >= 0.7, follows


def test_the_same_video_agrees_with_itself_and_less_with_another(moving, fitted) -> None:
    points = moving[0].sightings.points_px
    again = fit_face(points, (512, 512), 25.0, like=fitted)
    late = fit_face(np.roll(points, 9, 0), (512, 512), 25.0, like=fitted)
    same, other = ([*au.fitted_scores(r, fitted), *expression_scores(r, fitted)] for r in (again, late))
    best, worse = ({s.name: s.value for s in scores} for scores in (same, other))
    assert best["au@fit"] >= 0.99 and best["au_r@fit"] >= 0.99 and best["exp_diff@ict"] <= 1e-4
    assert worse["au@fit"] < best["au@fit"] - 0.05 and worse["au_r@fit"] < 0.9
    assert worse["exp_diff@ict"] > 10 * best["exp_diff@ict"]


def test_without_the_face_model_there_is_a_reason(fitted) -> None:
    face = replace(fitted, model="average")
    scores = [*au.fitted_scores(face, face), *expression_scores(face, face)]
    assert all(s.value is None and "ICT" in s.why for s in scores)


def test_pose_scores_see_shifts_turns_and_shake(moving, fitted) -> None:
    """A shift of 5 px is 3.3 mm at this depth; a lasting roll of 2 degrees is a pose error, not a shake."""
    points, middle = moving[0].sightings.points_px, np.array([256.0, 256.0])

    def rolled(degrees: np.ndarray, shift_px: float = 0.0) -> dict[str, float | None]:
        turn = np.radians(degrees)
        matrix = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], -1).reshape(-1, 2, 2)
        moved = points.copy()
        moved[..., :2] = (points[..., :2] - middle) @ np.swapaxes(matrix, 1, 2) + middle + [shift_px, 0.0]
        scores = pose_scores(fit_face(moved, (512, 512), 25.0, like=fitted), fitted)
        return {s.name: s.value for s in scores}

    still = rolled(np.zeros(120), shift_px=5.0)
    assert still["pose_error_mm"] == pytest.approx(5 * 10 * 5.3 * 6.3 / 512, rel=0.15)
    assert still["pose_error_deg"] < 0.6 and still["unsteadiness_ratio"] == pytest.approx(1.0, abs=0.05)
    turned = rolled(np.full(120, 2.0))
    assert turned["pose_error_deg"] == pytest.approx(2.0, abs=0.15)
    assert turned["unsteadiness_ratio"] == pytest.approx(1.0, abs=0.05)
    shaken = rolled(np.random.default_rng(0).normal(0, 1.0, 120))
    assert shaken["unsteadiness_ratio"] > 2.0
