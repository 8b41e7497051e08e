"""The self-check matrix of docs/evaluation.md: which score sees which degradation, and which must not.

The truth against itself is the best that can be reached. Every degradation is applied in growing strength; the scores
under `sees` must worsen from the truth to the first strength and on to the next, those under `blind` must stay within
their tolerance at every strength. On the drawn person (known by construction), and, slowly, on a speaker of
`talkface synthesize` and on a real clip, both seen by mediapipe.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from talkface.metrics.pair import PairScores, View
from talkface.metrics.video import detected

Key = tuple[str, str]
Frames = list[np.ndarray]

PICTURE: tuple[Key, ...] = (("psnr", "frame"), ("psnr", "face"), ("psnr", "mouth"), ("ssim", "frame"), ("ssim", "face"))
PICTURE += (("psnr_pooled", "frame"), ("ssim_sk", "frame"), ("ms_ssim", "frame"))
LIPS: tuple[Key, ...] = (("lmd", "mouth"), ("lmd_inner8", "mouth"), ("lmd_79", "mouth"))
FOLLOWS: tuple[Key, ...] = (("opening_r", "mouth"), ("velocity_r", "mouth"))
OPENING: Key = ("opening_r", "mouth")
SHARP: Key = ("sharpness", "face")
PLACE: tuple[Key, ...] = (("head_shift_256", "head"), ("lmd_eye_none", "eyes"))
RATIOS = {"sharpness", "amplitude"}
"""Scores whose best value is 1, with worse on both sides."""
NEED_SIZE = {"ms_ssim"}
"""Scores that small pictures do not have: the drawn person's 96 px are too few for five scales."""


@dataclass(frozen=True)
class Degradation:
    """What is done to the true frames, how strongly, and what must come of it."""

    apply: Callable[[Frames, float], Frames]
    strengths: tuple[float, float]
    sees: Sequence[Key]
    blind: dict[Key, float] = field(default_factory=dict)


def each(change: Callable[[np.ndarray, float, int], np.ndarray]) -> Callable[[Frames, float], Frames]:
    """A change of every frame by itself, given its place."""

    def apply(frames: Frames, strength: float) -> Frames:
        made = (change(frame, strength, place) for place, frame in enumerate(frames))
        return [np.rint(np.clip(frame, 0, 255)).astype(np.uint8) for frame in made]

    return apply


def jpeg(frame: np.ndarray, loss: float, _: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=round(100 - loss))
    return np.asarray(Image.open(file))


def noisy(frame: np.ndarray, levels: float, place: int) -> np.ndarray:
    return frame + np.random.default_rng(place).normal(0, levels, frame.shape)


def moved(frame: np.ndarray, share: float, place: int = 0) -> np.ndarray:
    """To the right by a share of the width; what comes in repeats the edge."""
    return ndimage.shift(frame.astype(float), (0, round(share * frame.shape[1]), 0), order=1, mode="nearest")


def late(frames: Frames, by: float) -> Frames:
    return [frames[max(0, place - int(by))] for place in range(len(frames))]


def held(frames: Frames, length: float) -> Frames:
    """Every so many frames a new picture, and the same in between."""
    return [frames[place - place % int(length)] for place in range(len(frames))]


MATRIX = {
    "blur": Degradation(
        each(lambda f, s, _: ndimage.gaussian_filter(f.astype(float), (s * len(f), s * len(f), 0))),
        (1 / 160, 1 / 70),
        (*PICTURE, SHARP, ("cpbd", "frame")),
        {OPENING: 0.3, ("head_shift_256", "head"): 4.0},
    ),
    "noise": Degradation(each(noisy), (4, 12), (*PICTURE, SHARP), {("head_shift_256", "head"): 2.5, OPENING: 0.3}),
    "jpeg": Degradation(each(jpeg), (50, 92), PICTURE, {("head_shift_256", "head"): 3.0}),
    "brightness": Degradation(
        each(lambda f, gain, _: f * (1 - gain)), (0.04, 0.12), PICTURE, {OPENING: 0.1, ("head_shift_256", "head"): 1.5}
    ),
    "shift": Degradation(
        each(moved),
        (0.021, 0.0625),
        (*PICTURE, *PLACE),
        {OPENING: 0.1, ("lmd", "mouth"): 1.0, ("amplitude", "mouth"): 0.15},
    ),
    "shake": Degradation(
        each(lambda f, share, place: moved(f, share * (place % 2))),
        (0.011, 0.032),
        (*PICTURE, ("jitter_256", "head")),
        {OPENING: 0.1, ("amplitude", "mouth"): 0.15},
    ),
    "desync": Degradation(
        late,
        (1, 3),
        (*LIPS, *FOLLOWS, ("psnr", "mouth"), ("au45_r", "eyes")),
        {SHARP: 0.1, ("amplitude", "mouth"): 0.15},
    ),
    "frozen": Degradation(held, (3, 8), (*LIPS, *FOLLOWS, ("psnr", "mouth"), ("au45_r", "eyes")), {SHARP: 0.1}),
}
"""Strengths: blur sigma and shifts as shares of the picture's side, noise in levels, JPEG loss as 100 - quality,
brightness lost, frames of delay, frames held."""


class Subject:
    """True frames, and the scores of any version of them."""

    def __init__(self, frames: Frames, detector: Callable[[], Callable[[np.ndarray], np.ndarray | None]]) -> None:
        self.frames, self._detector = frames, detector
        self._views = self._look(frames)
        self._truth = PairScores()
        for view in self._views:
            self._truth.add(view, view)
        self.best = self._values(self._truth)

    def scores(self, frames: Frames) -> dict[Key, float | None]:
        """By name and region."""
        gathered = PairScores()
        for view, truth in zip(self._look(frames), self._views, strict=True):
            gathered.add(view, truth)
        return self._values(gathered)

    def _look(self, frames: Frames) -> list[View]:
        detect = self._detector()
        return [View(frame, detected(detect, frame)) for frame in frames]

    def _values(self, gathered: PairScores) -> dict[Key, float | None]:
        self.higher = {(s.name, s.region): s.higher_is_better for s in gathered.scores(self._truth)}
        return {(s.name, s.region): s.value for s in gathered.scores(self._truth)}

    def badness(self, key: Key, value: float | None) -> float:
        """Larger is worse; nothing to measure is worst."""
        if value is None:
            return np.inf
        if key[0] in RATIOS:
            return abs(float(np.log(max(value, 1e-6))))
        return -value if self.higher[key] else value


@pytest.fixture(scope="module")
def drawn_subject(drawn) -> Subject:
    """Forty-eight frames with a blink."""
    person = drawn.DrawnPerson(60)
    frames = [np.rint(person.truth(place) * 255).astype(np.uint8) for place in range(4, 52)]
    return Subject(frames, lambda: drawn.detect)


@pytest.fixture(scope="module")
def mediapipe_detector():
    from talkface.face.detect import Detector

    opened = []

    def detector():
        opened.append(Detector())
        return opened[-1].detect

    yield detector
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def synthetic_subject(mediapipe_detector) -> Subject:
    """Four seconds of a speaker of the package."""
    from talkface.data.synthetic.speaker import SpeakerConfig, SyntheticSpeaker

    speaker = SyntheticSpeaker(SpeakerConfig(seed=4, size_px=192, seconds=4.0, recorded=True, head="builtin"))
    return Subject([speaker.picture(place) for place in range(100)], mediapipe_detector)


@pytest.fixture(scope="module")
def real_subject(mediapipe_detector, shared_data: Path) -> Subject:
    """Four seconds of a news speaker."""
    from talkface.io.video import read_frames

    clip = shared_data / "speakers" / "cnn2" / "clip.mp4"
    return Subject(list(read_frames(clip, end_s=4.0, max_side_px=192)), mediapipe_detector)


def test_the_truth_is_the_best_that_can_be_reached(drawn_subject: Subject) -> None:
    assert_best(drawn_subject)


@pytest.mark.parametrize("name", list(MATRIX))
def test_each_score_sees_what_it_should_on_the_drawn_person(name: str, drawn_subject: Subject) -> None:
    assert_matrix(name, drawn_subject)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MATRIX))
def test_each_score_sees_what_it_should_on_a_synthetic_speaker(name: str, synthetic_subject: Subject) -> None:
    assert_best(synthetic_subject)
    assert_matrix(name, synthetic_subject)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MATRIX))
def test_each_score_sees_what_it_should_on_a_real_clip(name: str, real_subject: Subject) -> None:
    assert_best(real_subject)
    assert_matrix(name, real_subject)


@pytest.mark.slow
def test_another_person_with_the_same_motion_is_another_picture(synthetic_subject: Subject) -> None:
    from talkface.data.synthetic.speaker import SpeakerConfig, SyntheticSpeaker

    other = SyntheticSpeaker(SpeakerConfig(seed=4, identity=9, size_px=192, seconds=4.0, recorded=True, head="builtin"))
    found = synthetic_subject.scores([other.picture(place) for place in range(100)])
    for key in (*PICTURE, *LIPS):
        assert synthetic_subject.badness(key, found[key]) > synthetic_subject.badness(
            key, synthetic_subject.best[key]
        ), key
    assert found["ssim", "face"] < 0.9 and found["psnr", "face"] < 25
    assert found[OPENING] > 0.5, "the mouth says the same"


def assert_best(subject: Subject) -> None:
    """Every score that compares with the truth has its best value where both are the truth."""
    for (name, region), value in subject.best.items():
        if name.startswith("psnr"):
            assert value == 100, region
        elif name.startswith(("lmd", "head_")):
            assert value == pytest.approx(0, abs=1e-5), name
        elif name in ("ssim", "ssim_sk", "sharpness", "amplitude", "closure_f1", "blink_f1", *(k for k, _ in FOLLOWS)):
            assert value is None or value == pytest.approx(1), name


def assert_matrix(name: str, subject: Subject) -> None:
    """One line of the matrix."""
    case = MATRIX[name]
    found = [subject.scores(case.apply(subject.frames, strength)) for strength in case.strengths]
    wrong = []
    for key in case.sees:
        if key[0] in NEED_SIZE and subject.best[key] is None:
            continue
        worse = [subject.badness(key, values[key]) for values in (subject.best, *found)]
        if not worse[0] < worse[1] < worse[2]:
            wrong.append(f"{key} does not worsen: {[values[key] for values in (subject.best, *found)]}")
    for key, tolerance in case.blind.items():
        for values in found:
            value, best = values[key], subject.best[key]
            if value is None or best is None or abs(value - best) > tolerance:
                wrong.append(f"{key} moves by more than {tolerance}: {best} to {value}")
    assert not wrong, "\n".join([name, *wrong])
