"""Every score of one video against the true one, where both are files: nothing is known but pictures, faces and sound.

`View` is one frame with the face found in it and keeps what several comparisons need; `PairScores` collects one video's
numbers beside the truth, frame by frame, in some hundred bytes a frame. Regions come from the true face: `face` is the
outline of its mesh grown by `FACE_GROWTH`, `mouth` the lip box of `metrics.image`. Nothing is pasted from the truth.
Definitions and what each score sees: docs/evaluation.md.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw

from talkface.errors import UserError
from talkface.face.detect import FACE_OVAL, LANDMARKS_68
from talkface.face.eyes import lid_closure, lid_opening
from talkface.metrics import face, lips
from talkface.metrics.image import MOST_DB, finite_mean, mouth_mask
from talkface.metrics.lmd import lmd_scores
from talkface.metrics.rows import absent, measured
from talkface.metrics.sharpness import BLOCK_PX, cpbd, grey_levels
from talkface.metrics.structure import MS_LEAST_PX, Pyramid, structure
from talkface.metrics.video import MESH, relative_opening
from talkface.types import FPS, Score

FACE_GROWTH = 1.2
"""The outline of the mesh ends at the hair line; grown by this about its middle it holds chin, ears and some hair."""
CPBD_EVERY = 5
"""CPBD is measured on every fifth frame: it costs more than all other scores of a picture and changes slowly."""
_FOREHEAD, _CHIN = 10, 152
_FACE_HEIGHTS_IN_BOX = 1.65
_REGIONS = ("frame", "face", "mouth")


class View:
    """One frame of one video.

    Args:
        picture: RGB, uint8 or float in [0, 1].
        points: The face's mesh [478, 3] in px of the picture; None or NaN without a face.

    Raises:
        UserError: the picture is no RGB picture, or holds values that are no numbers.
    """

    def __init__(self, picture: np.ndarray, points: np.ndarray | None) -> None:
        if picture.ndim != 3 or picture.shape[2] != 3:
            raise UserError(f"a frame has shape {picture.shape}; RGB pictures [height, width, 3] are scored")
        if min(picture.shape[:2]) < 11:
            raise UserError(
                f"frames of {picture.shape[1]}x{picture.shape[0]} px are too small to score; 11 px at least"
            )
        if picture.dtype == np.uint8:
            planes = np.ascontiguousarray(picture.transpose(2, 0, 1)) / np.float32(255)
        else:
            planes = np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)
            if not np.isfinite(planes).all():
                raise UserError("a frame holds values that are no numbers (NaN or infinite); mend the renderer first")
        self.planes: Float[np.ndarray, "3 height width"] = planes
        self.points = np.full((478, 3), np.nan) if points is None else np.asarray(points, np.float64)
        self.size_px = planes.shape[1], planes.shape[2]

    @cached_property
    def picture(self) -> Float[np.ndarray, "height width 3"]:
        """Channels last."""
        return self.planes.transpose(1, 2, 0)

    @cached_property
    def pyramid(self) -> Pyramid:
        """For the SSIM family."""
        return Pyramid(self.planes)

    @cached_property
    def landmarks(self) -> Float[np.ndarray, "68 3"]:
        """iBUG points of the mesh, px, single precision because they are kept of every frame; NaN without a face."""
        return self.points[list(LANDMARKS_68)].astype(np.float32)

    @cached_property
    def detail(self) -> Float[np.ndarray, "height width"]:
        """Laplacian of the grey picture (four neighbours, edges repeated), whose spread is sharpness."""
        grey = self.planes[0] + self.planes[1]
        grey += self.planes[2]
        grey *= np.float32(1 / 3)
        around = np.pad(grey, 1, mode="edge")
        found = around[:-2, 1:-1] + around[2:, 1:-1]
        found += around[1:-1, :-2]
        found += around[1:-1, 2:]
        found -= 4 * grey
        return found

    @cached_property
    def masks(self) -> dict[str, Bool[np.ndarray, "height width"]]:
        """The regions of this frame's face; empty without a face."""
        outline = Image.new("1", self.size_px[::-1])
        oval = self.points[list(FACE_OVAL), :2]
        if np.isfinite(oval).all():
            middle = (oval.min(0) + oval.max(0)) / 2
            grown = middle + FACE_GROWTH * (oval - middle)
            ImageDraw.Draw(outline).polygon([(float(x), float(y)) for x, y in grown - 0.5], fill=1)
        return {"face": np.array(outline), "mouth": mouth_mask(self.landmarks[:, :2], self.size_px)}

    @cached_property
    def cpbd(self) -> tuple[float, float]:
        """Sharpness without reference (`metrics.sharpness.cpbd`) of the frame, and of the box around the face."""
        grey = grey_levels(self.picture)
        rows, columns = (np.flatnonzero(self.masks["face"].any(axis)) for axis in (1, 0))
        inside = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else grey[:0]
        return cpbd(grey), cpbd(inside)

    @property
    def mouth_box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the mouth region, px; zeros without a face."""
        rows, columns = (np.flatnonzero(self.masks["mouth"].any(axis)) for axis in (1, 0))
        return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else (0, 0, 0, 0)


class PairScores:
    """All numbers of one video beside the truth. Call `add` for every frame in order, then read `scores`.

    The series (`psnr`, `opening`, `closure`) have one value a frame, NaN where there is none.

    Args:
        structure_every: The SSIM family is computed on every so many frames; its scores say on how many.
    """

    def __init__(self, fps: float = FPS, structure_every: int = 1) -> None:
        self._fps, self._structure_every = fps, structure_every
        self._psnr: list[np.ndarray] = []
        self._sums = np.zeros((len(_REGIONS), 2))
        self._structure: list[tuple[float, float, float, float]] = []
        self._detail: list[float] = []
        self._cpbd: list[tuple[float, float]] = []
        self._landmarks: list[np.ndarray] = []
        self._lids: list[np.ndarray] = []
        self._openings: list[float] = []
        self._heights: list[float] = []
        self._size_px = (0, 0)

    def __len__(self) -> int:
        return len(self._psnr)

    def add(self, view: View, truth: View) -> None:
        """Judge the next frame.

        Raises:
            UserError: the two differ in size.
        """
        if view.size_px != truth.size_px:
            ours, theirs = (f"{size[1]}x{size[0]}" for size in (view.size_px, truth.size_px))
            raise UserError(f"a frame of {ours} px cannot be scored against one of {theirs}; resize it first")
        self._size_px = truth.size_px
        squared = ((view.planes - truth.planes) ** 2).sum(0)
        face_mask, mouth = truth.masks["face"], truth.masks["mouth"]
        sums = [(float(squared.sum(dtype=np.float64)), squared.size)]
        sums += [(float(squared[mask].sum(dtype=np.float64)), int(mask.sum())) for mask in (face_mask, mouth)]
        errors = np.array(sums) * (1, 3)
        self._sums += errors
        self._psnr.append(_decibel(errors[:, 0], errors[:, 1]))
        if len(self._structure) % self._structure_every == 0:
            found = structure(view.pyramid, truth.pyramid)
            inner = face_mask[5:-5, 5:-5]
            within = float(found.map[inner].mean()) if inner.any() else float("nan")
            self._structure.append((found.ssim, found.ssim_sk, found.ms_ssim, within))
        else:
            self._structure.append((float("nan"),) * 4)
        true = float(truth.detail[face_mask].std()) if face_mask.any() else 0.0
        self._detail.append(float(view.detail[face_mask].std()) / true if true > 0 else float("nan"))
        self._see(view)

    def pass_over(self, view: View) -> None:
        """Leave the next frame's picture unjudged, but see its face."""
        self._psnr.append(np.full(len(_REGIONS), np.nan))
        self._structure.append((float("nan"),) * 4)
        self._detail.append(float("nan"))
        self._see(view)

    def _see(self, view: View) -> None:
        self._cpbd.append(view.cpbd if len(self._cpbd) % CPBD_EVERY == 0 else (float("nan"),) * 2)
        self._landmarks.append(view.landmarks)
        self._lids.append(lid_opening(view.points[None])[0])
        self._openings.append(float(relative_opening(view.points[None])[0]))
        self._heights.append(float(np.linalg.norm(view.points[_FOREHEAD, :2] - view.points[_CHIN, :2])))

    @property
    def psnr(self) -> Float[np.ndarray, "frames 3"]:
        """PSNR of every frame, dB, in the regions frame, face and mouth; NaN where a region is empty."""
        return np.array(self._psnr).reshape(-1, len(_REGIONS))

    @property
    def latest_db(self) -> float:
        """PSNR of the frame that was added last, dB."""
        return float(self._psnr[-1][0])

    @property
    def landmarks(self) -> Float[np.ndarray, "frames 68 3"]:
        """iBUG points of every frame, px."""
        return np.array(self._landmarks, np.float64).reshape(-1, 68, 3)

    @property
    def seen(self) -> Bool[np.ndarray, " frames"]:
        """Where a face was found."""
        return np.isfinite(np.array(self._openings))

    @property
    def opening(self) -> Float[np.ndarray, " frames"]:
        """Inner-lip opening over the distance of the outer eye corners."""
        return np.array(self._openings)

    @cached_property
    def closure(self) -> Float[np.ndarray, " frames"]:
        """Lid closure, mean of both eyes, 0 open to 1 shut. Read it when all frames were added."""
        return lid_closure(np.array(self._lids).reshape(-1, 2), self._fps).mean(1)

    @property
    def scale_256(self) -> float:
        """px here to px where a box of 1.65 median face heights is 256 px wide; NaN without a face."""
        heights = np.array(self._heights)
        return 256 / (_FACE_HEIGHTS_IN_BOX * float(np.nanmedian(heights))) if self.seen.any() else float("nan")

    def scores(self, truth: PairScores) -> list[Score]:
        """Every score of the frames so far; `truth` is the true video judged against itself."""
        return [*self._picture_scores(), *self._lip_scores(truth), *self._face_scores(truth)]

    def _picture_scores(self) -> list[Score]:
        found, psnr = [], self.psnr
        pooled = _decibel(self._sums[:, 0], self._sums[:, 1])
        for place, region in enumerate(_REGIONS):
            count = int(np.isfinite(psnr[:, place]).sum())
            found.append(measured("psnr", finite_mean(list(psnr[:, place])), True, count, region))
            found.append(measured("psnr_pooled", float(pooled[place]), True, count, region))
        family = np.array(self._structure).reshape(-1, 4)
        for place, (name, region) in enumerate(
            (("ssim", "frame"), ("ssim_sk", "frame"), ("ms_ssim", "frame"), ("ssim", "face"))
        ):
            count = int(np.isfinite(family[:, place]).sum())
            if name == "ms_ssim" and 0 < min(self._size_px) < MS_LEAST_PX:
                found.append(absent(name, True, f"its five scales need frames of {MS_LEAST_PX} px a side", region))
            else:
                found.append(measured(name, finite_mean(list(family[:, place])), True, count, region))
        count = int(np.isfinite(self._detail).sum())
        found.append(measured("sharpness", finite_mean(self._detail), True, count, "face"))
        for region, values in zip(("frame", "face"), np.array(self._cpbd).reshape(-1, 2).T, strict=True):
            count = int(np.isfinite(values).sum())
            found.append(
                measured("cpbd", finite_mean(list(values)), True, count, region)
                if count
                else absent("cpbd", True, f"it needs a face and whole blocks of {BLOCK_PX} px", region)
            )
        return found

    def _lip_scores(self, truth: PairScores) -> list[Score]:
        rendered, true, scale = self.landmarks[..., :2], truth.landmarks[..., :2], truth.scale_256
        opening, wanted = self.opening, truth.opening
        closed_below = lips.closed_threshold(wanted) if truth.seen.any() else float("nan")
        count = int((self.seen & truth.seen).sum())
        return [
            *lmd_scores(rendered, true, MESH),
            *lmd_scores(rendered, true, MESH, scale=scale, suffix="_256"),
            *(
                measured(name, value, True, count, "mouth", MESH)
                for name, value in (
                    ("opening_r", lips.correlation(opening, wanted)),
                    ("velocity_r", lips.velocity_correlation(opening, wanted)),
                    ("amplitude", lips.amplitude(opening, wanted)),
                    ("closure_f1", lips.closure_f1(opening, wanted, closed_below)),
                )
            ),
        ]

    def _face_scores(self, truth: PairScores) -> list[Score]:
        closure, wanted, scale = self.closure, truth.closure, truth.scale_256
        rendered, true = self.landmarks, truth.landmarks
        both, own = int((self.seen & truth.seen).sum()), int(self.seen.sum())
        shift = finite_mean(list(face.head_shift(rendered[..., :2], true[..., :2]))) * scale
        turn = finite_mean(list(np.degrees(face.head_turn(rendered[:, face.STABLE], true[:, face.STABLE]))))
        shake = face.jitter(rendered[..., :2]) * scale
        return [
            measured("au45_r", face.au45_correlation(closure, wanted), True, both, "eyes", MESH),
            measured("blink_f1", face.blink_f1(closure, wanted, self._fps), True, both, "eyes", MESH),
            measured("blinks_per_minute", face.blink_rate(closure, self._fps), True, own, "eyes", MESH),
            measured("head_shift_256", shift, False, both, "head", MESH),
            measured("head_turn_deg", turn, False, both, "head", MESH),
            measured("jitter_256", shake, False, own, "head", MESH),
        ]


def _decibel(total: Float[np.ndarray, "*n"], count: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """PSNR of sums of squared errors of `count` values, at most `MOST_DB`; NaN where nothing was summed."""
    mean = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    return -10 * np.log10(np.maximum(mean, 10 ** (-MOST_DB / 10)))
