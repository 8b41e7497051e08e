"""Every score of a picture that needs no network, gathered over one video: frame, head mask and mouth region."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from talkface.metrics.image import PerFrame, Psnr, check_pair
from talkface.metrics.rows import absent, measured
from talkface.metrics.sharpness import BLOCK_PX, Cpbd, SharpnessRatio
from talkface.metrics.structure import MS_LEAST_PX, Pyramid, structure
from talkface.types import Score


@dataclass(frozen=True, eq=False)
class TrueFrame:
    """One true frame and its regions; what several videos are compared with is computed once."""

    picture: Float[np.ndarray, "height width 3"]
    head: Bool[np.ndarray, "height width"]
    mouth: Bool[np.ndarray, "height width"]

    @cached_property
    def pyramid(self) -> Pyramid:
        """For the SSIM family."""
        return pyramid_of(self.picture)

    @property
    def mouth_box(self) -> tuple[int, int, int, int] | None:
        """Left, top, right, bottom of the mouth region, px; None where there is none."""
        rows, columns = (np.flatnonzero(self.mouth.any(axis)) for axis in (1, 0))
        return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else None


class PictureScores:
    """Call `add` for every frame, then read `scores`; some numbers are kept of each frame.

    Scores: PSNR (mean and pooled) and `ssim` in frame, head and mouth (SSIM of the pixels inside, whose windows reach
    11 px around them); `ssim_sk` and `ms_ssim` of the frame; `sharpness` of the head against the truth's; `cpbd` of the
    frame and of the box around the head.
    """

    def __init__(self) -> None:
        self.psnr = {region: Psnr() for region in ("frame", "head", "mouth")}
        self._structure = {
            key: PerFrame()
            for key in (
                ("ssim", "frame"),
                ("ssim", "head"),
                ("ssim", "mouth"),
                ("ssim_sk", "frame"),
                ("ms_ssim", "frame"),
            )
        }
        self._sharpness = SharpnessRatio()
        self._cpbd = {"frame": Cpbd(), "head": Cpbd()}
        self._side_px = 0

    def add(self, picture: Float[np.ndarray, "height width 3"], true: TrueFrame) -> None:
        """Judge the next frame.

        Raises:
            UserError: the two differ in size or hold values that are no numbers; the frame is named.
        """
        check_pair(picture, true.picture, len(self._sharpness.values))
        self._side_px = min(picture.shape[:2])
        for region, mask in (("frame", None), ("head", true.head), ("mouth", true.mouth)):
            self.psnr[region].add(picture, true.picture, mask)
        found = structure(pyramid_of(picture), true.pyramid)
        radius = (len(true.head) - len(found.map)) // 2
        inside = np.s_[radius:-radius, radius:-radius]
        values = (found.ssim, _mean(found.map[true.head[inside]]), _mean(found.map[true.mouth[inside]]))
        for kept, value in zip(self._structure.values(), (*values, found.ssim_sk, found.ms_ssim), strict=True):
            kept.values.append(value)
        self._sharpness.add(picture, true.picture, true.head)
        self._cpbd["frame"].add(picture)
        self._cpbd["head"].add(picture, true.head)

    def scores(self) -> list[Score]:
        """Every score of the frames so far."""
        found = []
        for region, psnr in self.psnr.items():
            found.append(measured("psnr", psnr.mean, True, psnr.frames, region))
            found.append(measured("psnr_pooled", psnr.pooled, True, psnr.frames, region))
        for (name, region), kept in self._structure.items():
            if name == "ms_ssim" and 0 < self._side_px < MS_LEAST_PX:
                found.append(absent(name, True, f"its five scales need frames of {MS_LEAST_PX} px a side", region))
            else:
                found.append(measured(name, kept.mean, True, kept.frames, region))
        found.append(measured("sharpness", self._sharpness.mean, True, self._sharpness.frames, "head"))
        for region, cpbd in self._cpbd.items():
            if cpbd.values and not cpbd.frames:
                found.append(absent("cpbd", True, f"it needs a block of {BLOCK_PX} px", region))
            else:
                found.append(measured("cpbd", cpbd.mean, True, cpbd.frames, region))
        return found


def pyramid_of(picture: Float[np.ndarray, "height width 3"]) -> Pyramid:
    """What `structure` compares, of a picture with channels last."""
    return Pyramid(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))


def _mean(values: Float[np.ndarray, " n"]) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")
