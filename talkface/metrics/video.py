"""Every score of one rendered video against the true one, frame by frame in one pass.

`Reference` looks at the truth once; `VideoScores` collects one video's numbers beside it. The detector is passed in: a
function from a frame to 478 mesh points in px (or None), the same for truth and renders, one for each video because
detectors follow a face from frame to frame.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from talkface.face.detect import LANDMARKS_68
from talkface.face.eyes import lid_closure, lid_opening
from talkface.metrics import face, lips
from talkface.metrics.image import finite_mean, mouth_mask
from talkface.metrics.perceptual import PerceptualScores
from talkface.metrics.picture_scores import PictureScores, TrueFrame
from talkface.metrics.pictures import Pictures
from talkface.metrics.rows import absent, measured
from talkface.types import Score

Detect = Callable[[np.ndarray], np.ndarray | None]
"""A frame, uint8 [height, width, 3], to mesh points [478, 3] px, or None where there is no face."""

MESH = "mediapipe mesh"
_FOREHEAD, _CHIN = 10, 152
_FACE_HEIGHTS_IN_BOX = 1.65
_DETECT_AT_LEAST_PX = 256
_BY_SOUND = (("lse_c", True), ("lse_d", False))


class Reference:
    """The true test frames: regions, mesh points and what the scores are measured in.

    Attributes:
        indices: the frames judged, ascending.
        positions: place of each on a time line that starts at the first; gaps between clips stay gaps.
        closure: the commanded lid closure, mean of both eyes, on the time line (NaN where no frame is judged).
        scale_256: px of these pictures to px where a box of 1.65 face heights is 256 px wide, the "256 scale" in which
            landmark distances of different picture sizes compare (field-quality.md §1).
    """

    def __init__(self, pictures: Pictures, indices: Int[np.ndarray, " frames"], detect: Detect) -> None:
        self.pictures, self.indices, self.fps = pictures, indices, pictures.track.fps
        self.positions = indices - indices[0]
        self.points = np.array([detected(detect, pictures.truth(i)) for i in indices.tolist()])
        height = np.linalg.norm(self.points[:, _FOREHEAD, :2] - self.points[:, _CHIN, :2], axis=-1)
        self.scale_256 = (
            256 / (_FACE_HEIGHTS_IN_BOX * float(np.nanmedian(height))) if np.isfinite(height).any() else 1.0
        )
        self.opening = self.on_time_line(relative_opening(self.points))
        self.closure = self.on_time_line(pictures.track.closure[indices].mean(1))
        training = relative_opening(pictures.track.points_px[pictures.train_indices])
        self.closed_below = lips.closed_threshold(training)
        self._latest: tuple[int, TrueFrame] | None = None

    def frame(self, index: int) -> TrueFrame:
        """A true frame and its regions; the latest is kept, because all videos are compared with it in turn."""
        if self._latest is None or self._latest[0] != index:
            pictures = self.pictures
            mouth = mouth_mask(pictures.landmarks_px(index), pictures.size_px)
            self._latest = index, TrueFrame(pictures.truth(index), pictures.head(index) > 0.5, mouth)
        return self._latest[1]

    def on_time_line(self, values: Float[np.ndarray, "frames *rest"]) -> Float[np.ndarray, "positions *rest"]:
        """Spread per-frame values over the time line, NaN between."""
        line = np.full((self.positions[-1] + 1, *values.shape[1:]), np.nan)
        line[self.positions] = values
        return line


class VideoScores:
    """All numbers of one video. Call `add` for every frame of the reference in order, then read `scores`.

    The per-frame series serve the report: `psnr` of the frame, `opening` over the eye span and `closure` on the
    reference's time line.
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._pictures = PictureScores()
        self._perceptual = PerceptualScores()
        self._points: list[np.ndarray] = []

    def add(self, picture: Float[np.ndarray, "height width 3"], detect: Detect) -> None:
        """Judge the next frame."""
        reference, index = self._reference, int(self._reference.indices[len(self._points)])
        true = reference.frame(index)
        self._pictures.add(picture, true)
        self._perceptual.add(picture, true.picture, true.head, true.mouth_box)
        self._points.append(detected(detect, picture))

    @property
    def psnr(self) -> Float[np.ndarray, " positions"]:
        """PSNR of every frame's head, dB."""
        return self._reference.on_time_line(np.array(self._pictures.psnr["head"].values))

    @property
    def points(self) -> Float[np.ndarray, "frames 478 3"]:
        """Mesh points of every frame, px; NaN without a face."""
        return np.array(self._points)

    @property
    def opening(self) -> Float[np.ndarray, " positions"]:
        """Inner-lip opening over the distance of the outer eye corners."""
        return self._reference.on_time_line(relative_opening(self.points))

    @property
    def closure(self) -> Float[np.ndarray, " positions"]:
        """Lid closure, mean of both eyes, 0 open to 1 shut."""
        lids = lid_closure(self._reference.on_time_line(lid_opening(self.points)), self._reference.fps)
        return lids.mean(1)

    def scores(self, by_audio: bool = False) -> list[Score]:
        """Every score; `by_audio` says that speech alone moved the mouth (the correlation is then `mouth_r`)."""
        why = "it judges whole talking videos by their sound: talkface evaluate --truth A --video B"
        return [
            *self._pictures.scores(),
            *self._lip_scores(by_audio),
            *self._face_scores(),
            *self._perceptual.scores(),
            *(absent(name, higher, why, "mouth", "syncnet v2") for name, higher in _BY_SOUND),
        ]

    def _lip_scores(self, by_audio: bool) -> list[Score]:
        reference, opening = self._reference, self.opening
        rendered, true = self._landmarks(self.points), self._landmarks(reference.points)
        distances = {
            "mouth": lips.landmark_distance(rendered[:, lips.MOUTH, :2], true[:, lips.MOUTH, :2]),
            "eyes": lips.eye_distance(rendered[..., :2], true[..., :2]),
        }
        found = []
        for region, distance in distances.items():
            mean, count = finite_mean(list(distance)), int(np.isfinite(distance).sum())
            found.append(measured("lmd", mean, False, count, region, MESH))
            found.append(measured("lmd_256", mean * reference.scale_256, False, count, region, MESH))
        count = int((np.isfinite(opening) & np.isfinite(reference.opening)).sum())
        for name, value in (
            ("mouth_r" if by_audio else "opening_r", lips.correlation(opening, reference.opening)),
            ("velocity_r", lips.velocity_correlation(opening, reference.opening)),
            ("amplitude", lips.amplitude(opening, reference.opening)),
            ("closure_f1", lips.closure_f1(opening, reference.opening, reference.closed_below)),
        ):
            found.append(measured(name, value, True, count, "mouth", MESH))
        return found

    def _face_scores(self) -> list[Score]:
        reference, closure = self._reference, self.closure
        rendered, true = self._landmarks(self.points), self._landmarks(reference.points)
        count = int((np.isfinite(closure) & np.isfinite(reference.closure)).sum())
        shift = finite_mean(list(face.head_shift(rendered[..., :2], true[..., :2]))) * reference.scale_256
        turn = finite_mean(list(np.degrees(face.head_turn(rendered[:, face.STABLE], true[:, face.STABLE]))))
        shake = face.jitter(reference.on_time_line(rendered[..., :2])) * reference.scale_256
        return [
            measured("au45_r", face.au45_correlation(closure, reference.closure), True, count, "eyes", MESH),
            measured("blink_f1", face.blink_f1(closure, reference.closure, reference.fps), True, count, "eyes", MESH),
            measured("blinks_per_minute", face.blink_rate(closure, reference.fps), True, count, "eyes", MESH),
            measured("head_shift_256", shift, False, count, "head", MESH),
            measured("head_turn_deg", turn, False, count, "head", MESH),
            measured("jitter_256", shake, False, count, "head", MESH),
        ]

    @staticmethod
    def _landmarks(points: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, "frames 68 3"]:
        return points[:, list(LANDMARKS_68)]


def relative_opening(points: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, " frames"]:
    """Inner-lip opening in the picture over the outer eye corners' distance in space (so that yaw matters little)."""
    landmarks = points[:, list(LANDMARKS_68)]
    return lips.opening(landmarks[..., :2]) / lips.eye_span(landmarks)


def detected(
    detect: Detect, picture: Float[np.ndarray, "height width 3"] | UInt8[np.ndarray, "height width 3"]
) -> Float[np.ndarray, "478 3"]:
    """Mesh points of a picture in its px, NaN without a face; small pictures are enlarged to 256 px first."""
    if picture.dtype != np.uint8:
        picture = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    frame = Image.fromarray(picture)
    factor = max(1, -(-_DETECT_AT_LEAST_PX // min(frame.size)))
    if factor > 1:
        frame = frame.resize((frame.width * factor, frame.height * factor), Image.Resampling.BICUBIC)
    points = detect(np.asarray(frame))
    return np.full((478, 3), np.nan) if points is None else np.asarray(points, np.float64) / factor
