"""Scores of pictures by networks that a user may have brought: LPIPS with three backbones, and FID.

Where a network is absent its score is listed without a value and says how to get it; nothing is computed then. LPIPS
looks at three regions:
    - frame: the whole picture, with every backbone that is here
    - a mask (head or face): both pictures are cut to the box around it, and outside it both are the truth, so that only
      what is masked can differ; with AlexNet
    - mouth (a box): both pictures are cut to it; with AlexNet
A cut whose shorter side is under `LEAST_CUT_PX` is enlarged to that bilinearly, because LPIPS was made for patches of
64 px (our choice). FID looks at whole frames only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from talkface import assets
from talkface.metrics.fid import FeatureStatistics, frechet_distance
from talkface.metrics.image import PerFrame, check_pair
from talkface.metrics.rows import absent, measured
from talkface.types import Score

LEAST_CUT_PX = 64
_FEW = 2048
_FID = {"fid": 2048, "fid_192": 192}

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, px."""


class Remembered:
    """Features of a picture by one network, kept while the same true picture is asked for again (by other rows)."""

    def __init__(self, features: Callable[[Any], Any]) -> None:
        self._features = features
        self._latest: tuple[np.ndarray | None, Any] = (None, None)

    def of(self, picture: Float[np.ndarray, "height width 3"]) -> Any:
        """The features of a picture."""
        return self._features(as_tensor(picture))

    def of_truth(self, truth: Float[np.ndarray, "height width 3"]) -> Any:
        """The same, remembered."""
        if self._latest[0] is not truth:
            self._latest = truth, self.of(truth)
        return self._latest[1]


@dataclass(frozen=True, eq=False)
class Judge:
    """One LPIPS, or the Inception network."""

    network: Any
    features: Remembered
    backend: str


@dataclass(frozen=True, eq=False)
class PictureNetworks:
    """What is here: by score name. What is not, as scores without a value."""

    lpips: dict[str, Judge]
    inception: Judge | None
    absent: tuple[Score, ...]


def picture_networks() -> PictureNetworks:
    """The networks that the user has brought, read once.

    Raises:
        UserError: a file is there and is not what its name says.
    """
    from talkface.nets.lpips import BACKBONES

    needed = [name for files in BACKBONES.values() for name in (files.classifier, files.layers)]
    return _read(tuple((name, assets.find(name)) for name in [*needed, "inception_fid"]))


@lru_cache(maxsize=1)
def _read(files: tuple[tuple[str, Path | None], ...]) -> PictureNetworks:
    from talkface.nets.inception import Inception
    from talkface.nets.lpips import BACKBONES, Lpips

    here = {name: path for name, path in files if path is not None}
    lpips, missing = {}, []
    for backbone, needed in BACKBONES.items():
        names = (needed.classifier, needed.layers)
        backend = f"lpips 0.1, {backbone}"
        if lacking := [name for name in names if name not in here]:
            missing.append(absent(needed.name, False, _lacking(lacking), backend=backend))
        else:
            network = Lpips.load(backbone, here[names[0]], here[names[1]])
            lpips[needed.name] = Judge(network, Remembered(network.features), backend + _stranger(here, names))
    backend = "inception-v3 2015-12-05"
    if "inception_fid" not in here:
        missing.append(absent("fid", False, _lacking(["inception_fid"]), backend=backend))
        return PictureNetworks(lpips, None, tuple(missing))
    inception = Inception.load(here["inception_fid"])
    judge = Judge(inception, Remembered(inception), backend + _stranger(here, ("inception_fid",)))
    return PictureNetworks(lpips, judge, tuple(missing))


class PerceptualScores:
    """The networks' scores of one video. Call `add` for every frame, then read `scores`.

    Memory: a few numbers a frame, and 35 MB of statistics for FID on each side.

    Args:
        masked: Name of the region that `add` gets a mask of.
    """

    def __init__(self, masked: str = "head") -> None:
        self._networks, self._masked, self._frames = picture_networks(), masked, 0
        self._side_px = 0
        regions = ("frame", masked, "mouth")
        self._lpips = {
            name: {region: PerFrame() for region in (regions if name == "lpips" else regions[:1])}
            for name in self._networks.lpips
        }
        self._fid: dict[str, tuple[FeatureStatistics, FeatureStatistics]] = {}
        if self._networks.inception is not None:
            self._fid = {name: (FeatureStatistics(size), FeatureStatistics(size)) for name, size in _FID.items()}

    def add(
        self,
        picture: Float[np.ndarray, "height width 3"],
        truth: Float[np.ndarray, "height width 3"],
        mask: Bool[np.ndarray, "height width"] | None = None,
        mouth_box: Box | None = None,
    ) -> None:
        """Judge the next frame.

        Raises:
            UserError: the two differ in size or hold values that are no numbers.
        """
        if self._lpips or self._fid:
            check_pair(picture, truth, self._frames)
            self._side_px = min(truth.shape[:2])
            self._compare(picture, truth, mask, mouth_box)
        self._frames += 1

    def _compare(self, picture: np.ndarray, truth: np.ndarray, mask: np.ndarray | None, mouth_box: Box | None) -> None:
        for name, regions in self._lpips.items():
            judge = self._networks.lpips[name]
            small = self._side_px < judge.network.backbone.least_px
            seen = judge.features
            value = float("nan") if small else float(judge.network.compare(seen.of(picture), seen.of_truth(truth)))
            regions["frame"].values.append(value)
            if name == "lpips":
                pairs = {self._masked: masked_cut(picture, truth, mask), "mouth": box_cut(picture, truth, mouth_box)}
                for region, pair in pairs.items():
                    regions[region].values.append(_distance(judge.network, pair))
        if self._networks.inception is not None:
            made = self._networks.inception.features.of(picture)
            true = self._networks.inception.features.of_truth(truth)
            for (ours, theirs), one, other in zip(self._fid.values(), made, true, strict=True):
                ours.add(one.numpy())
                theirs.add(other.numpy())

    def scores(self) -> list[Score]:
        """Every score of the frames so far, and those that cannot be computed here, with the reason."""
        return [*self._lpips_scores(), *self._fid_scores(), *self._networks.absent]

    def _lpips_scores(self) -> list[Score]:
        found = []
        for name, regions in self._lpips.items():
            judge = self._networks.lpips[name]
            for region, kept in regions.items():
                if region == "frame" and self._frames and self._side_px < judge.network.backbone.least_px:
                    why = f"it needs pictures of {judge.network.backbone.least_px} px a side"
                    found.append(absent(name, False, why, region, judge.backend))
                else:
                    found.append(measured(name, kept.mean, False, kept.frames, region, judge.backend))
        return found

    def _fid_scores(self) -> list[Score]:
        if self._networks.inception is None:
            return []
        found = []
        for name, (ours, theirs) in self._fid.items():
            if name != "fid" and self._frames >= _FEW:
                continue
            backend = f"{self._networks.inception.backend}, {_FID[name]} features"
            if self._frames < 2:
                found.append(absent(name, False, "it needs two frames at least", backend=backend))
                continue
            remark = ""
            if self._frames < _FEW:
                remark = f"{self._frames} frames are fewer than {_FEW}: compare it at equal counts of frames only"
            distance = frechet_distance(ours, theirs)
            found.append(Score(name, distance, False, self._frames, backend=backend, why=remark))
        return found


def masked_cut(
    picture: Float[np.ndarray, "height width 3"],
    truth: Float[np.ndarray, "height width 3"],
    mask: Bool[np.ndarray, "height width"] | None,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Both pictures in the box around a mask, outside which both are the truth; None for an empty mask."""
    if mask is None or not mask.any():
        return None
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.where(mask[part][..., None], picture[part], truth[part]), truth[part]


def box_cut(
    picture: Float[np.ndarray, "height width 3"], truth: Float[np.ndarray, "height width 3"], box: Box | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Both pictures in a box, as far as it lies inside them; None where nothing is left."""
    if box is None:
        return None
    left, top, right, bottom = box
    part = np.s_[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    return (picture[part], truth[part]) if truth[part].size else None


def as_tensor(picture: Float[np.ndarray, "height width 3"]) -> Any:
    """A batch of one, channels first, float32."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32))


def _distance(network: Any, pair: tuple[np.ndarray, np.ndarray] | None) -> float:
    if pair is None:
        return float("nan")
    import torch

    tensors = [as_tensor(one) for one in pair]
    height, width = tensors[0].shape[-2:]
    if min(height, width) < LEAST_CUT_PX:
        scale = LEAST_CUT_PX / min(height, width)
        size = (round(height * scale), round(width * scale))
        tensors = [torch.nn.functional.interpolate(one, size=size, mode="bilinear") for one in tensors]
    return float(network(*tensors))


def _stranger(here: dict[str, Path], names: tuple[str, ...]) -> str:
    """What the backend must say where a file fits but is not the published one."""
    strangers = [name for name in names if assets.named(name).publishes(here[name]) is False]
    return "".join(f", {name} not the published file: sha256 {assets.sha256(here[name])[:8]}" for name in strangers)


def _lacking(names: list[str]) -> str:
    return f"{' and '.join(names)} not here; `talkface assets` says where to get them and how to bring them"
