"""Who is where in a frame: background, head, neck and torso; the head's soft alpha that a field learns from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from talkface.face.matte import Matter, foreground
from talkface.face.plate import BackgroundPlate
from talkface.face.solid import HeadSolid, head_solid
from talkface.geometry import project, to_world
from talkface.types import Track

BACKGROUND, HEAD, NECK, TORSO = 0, 1, 2, 3

_WORK_PX = 256
_HAIR_ABOVE = 0.45
"""Person above this share of the face's height (chin 0, hairline 1) is always head: hair, hat, ears."""
_NOTCH_DOWN_TO = -0.1
_LONG_HAIR_ABOVE = 0.05
"""With long hair whatever is beside the jaw is taken for hair, also where it lies in the shade."""
_HAIR_DOWN_TO = -0.35
"""Long hair below this rests on the shoulders and moves with them."""
_RING_COVERED = 0.25
"""Person in the ring beside the jaw: measured 0.01-0.07 with short hair, 0.37 with a bob, 0.49 with braids."""
_RING_VOTE = 0.3
_SKIN_LIMIT = 14.0
_SHADE_SPREAD = 25.0
"""The neck lies in the shade of the jaw: its lightness (0 to 255) may differ from the face's by this much."""
_HAIR_LIMIT = 9.0
_NECK_OVERLAP_AT_256_PX = 3.5
_TORSO_OVERLAP_AT_256_PX = 0.5
_FEATHER_AT_256_PX = 2.0
_TENT_AT_256_PX = 8.0


@dataclass(frozen=True, eq=False)
class _Colour:
    """A Gaussian of CIE LAB colour."""

    mean: np.ndarray
    whitening: np.ndarray

    @classmethod
    def of(cls, samples: np.ndarray, light_spread: float = 6.0) -> _Colour:
        covariance = np.cov(samples.T) + np.diag([light_spread**2, 9.0, 9.0])
        whitening = np.linalg.cholesky(np.linalg.inv(covariance))
        return cls(np.median(samples, 0).astype(np.float32), whitening.astype(np.float32))

    def distance(self, lab: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distance of every pixel."""
        return np.square((lab - self.mean) @ self.whitening).sum(-1)


class ClipRegions:
    """Labels for the frames of one tracked clip.

    Colours of skin and hair and the vote for long hair are taken once from `sample`, some 20 frames spread over the
    clip, so that no decision flips from frame to frame. Source: shared study of tracking, sections 6.2 and 6.3
    (projected head and neck, skin and hair colours, ring gate); outlines instead of triangles, at 256 px, and the notch
    between ear or hair and shoulder, above which everything beside the jaw is head, are ours.

    Args:
        track: The clip's track; its face model decides how well ears and neck are known.
        sample: (frame index, RGB frame, matte) of a few frames. Frames without a face are passed over.
    """

    def __init__(
        self,
        track: Track,
        sample: Iterable[tuple[int, UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]],
    ) -> None:
        self.track = track
        self.solid: HeadSolid = head_solid(track)
        self._scale = min(1.0, _WORK_PX / min(track.camera.size_px))
        self.long_hair = False
        """Whether hair hangs down beside the jaw onto the shoulders."""
        self.notch = (_HAIR_ABOVE, _HAIR_ABOVE)
        """Height on the face's right and left (viewer's left and right) where the head ends and the shoulder begins."""
        self._skin: _Colour | None = None
        self._shaded_skin: _Colour | None = None
        self._hair: _Colour | None = None
        self._learn(sample)

    def labels(
        self, index: int, frame: UInt8[np.ndarray, "height width 3"], matte: Float[np.ndarray, "height width"]
    ) -> UInt8[np.ndarray, "height width"]:
        """0 background, 1 head, 2 neck, 3 torso. Where frame `index` has no face the whole person is torso."""
        import cv2

        person = matte > 0.5
        if not np.isfinite(self.track.landmarks_px[index]).all():
            return np.where(person, TORSO, BACKGROUND).astype(np.uint8)
        small, soft = self._shrunk(frame, matte)
        lab = _lab(small)
        outline, neck = self._outlines(index, soft.shape)
        if self._shaded_skin is not None:
            neck = neck * (self._shaded_skin.distance(lab) < _SKIN_LIMIT)
        height, side = self._face_coordinates(index, soft.shape)
        notch = np.where(side < 0, *self.notch)
        above = _step(height - notch) * (np.abs(side) < 1.3)
        above = np.where(height < _HAIR_ABOVE, above * (1.0 - neck), above)
        head = np.maximum(outline, above)
        if self.long_hair:
            head = np.maximum(head, self._hanging_hair(lab, soft, head, height, side))
        neck = cv2.morphologyEx(_bytes(neck), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)) / 255.0
        head = np.maximum(head, _strands((soft > 0.5) & (head < 0.5)) * _step(height - _HAIR_DOWN_TO) * (neck < 0.5))
        head, neck = (cv2.GaussianBlur(cv2.medianBlur(_bytes(m), 5), (5, 5), 0) for m in (head, neck))
        size = (frame.shape[1], frame.shape[0])
        head, neck = (cv2.resize(m, size, interpolation=cv2.INTER_LINEAR) > 127 for m in (head, neck))
        labels = np.where(head, HEAD, np.where(neck, NECK, TORSO))
        return np.where(person, labels, BACKGROUND).astype(np.uint8)

    def _learn(self, sample: Iterable[tuple[int, np.ndarray, np.ndarray]]) -> None:
        skin, hair, ring, ring_area, notches = [], [], [], 0, []
        for index, frame, matte in sample:
            points = self.track.points_px[index]
            if not np.isfinite(points).all():
                continue
            small, soft = self._shrunk(frame, matte)
            lab = _lab(small)
            face = _outline(points[:468, :2] * self._scale, soft.shape) > 0.5
            height, side = self._face_coordinates(index, soft.shape)
            head, _ = self._outlines(index, soft.shape)
            skin.append(lab[face & (height > 0.1) & (height < 0.7)])
            hair.append(lab[(soft > 0.9) & (height > 1.03) & (np.abs(side) < 0.6)])
            beside = (height > 0.1) & (height < 0.4) & (np.abs(side) < 0.8) & (_grown(head, 3) < 0.5)
            ring.append(lab[beside & (soft > 0.7)])
            ring_area += int(beside.sum())
            notches.append([_notch(soft, height, side * sign) for sign in (-1, 1)])
        if not skin:
            return
        right, left = np.median(notches, 0)
        self.notch = (float(right), float(left))
        cheeks = _typical(np.concatenate(skin))
        self._skin = _Colour.of(cheeks)
        self._shaded_skin = _Colour.of(cheeks, _SHADE_SPREAD)
        scalp = np.concatenate(hair)
        if len(scalp) < 50:
            return
        self._hair = _Colour.of(_typical(scalp))
        beside_jaw = np.concatenate(ring)
        covered = len(beside_jaw) > _RING_COVERED * ring_area
        self.long_hair = bool(covered and np.mean(self._is_hair(beside_jaw)) > _RING_VOTE)
        if self.long_hair:
            self.notch = (min(self.notch[0], _LONG_HAIR_ABOVE), min(self.notch[1], _LONG_HAIR_ABOVE))

    def _is_hair(self, lab: np.ndarray) -> np.ndarray:
        assert self._hair is not None and self._skin is not None
        to_hair = self._hair.distance(lab)
        return (to_hair < _HAIR_LIMIT) & (to_hair < self._skin.distance(lab))

    def _hanging_hair(
        self, lab: np.ndarray, soft: np.ndarray, head: np.ndarray, height: np.ndarray, side: np.ndarray
    ) -> np.ndarray:
        """Hair-coloured pixels beside and below the face that hang together with the head."""
        import cv2

        reach = _step(height - _HAIR_DOWN_TO) * (np.abs(side) < 1.0)
        candidate = _bytes(self._is_hair(lab) & (soft > 0.3) & (reach > 0.5) & (head < 0.5))
        candidate = cv2.morphologyEx(candidate, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        candidate = cv2.morphologyEx(candidate, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        both = ((candidate > 127) | (head > 0.5)).astype(np.uint8)
        _, parts = cv2.connectedComponents(both, connectivity=4)
        touching = np.unique(parts[head > 0.5])
        return np.isin(parts, touching[touching > 0]) * reach

    def _outlines(self, index: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Soft pictures of the projected head (with the detected mesh) and neck, at working size."""
        solid = self.solid
        skull = solid.skull + np.tensordot(self.track.expression[index], solid.skull_expression, 1)
        head = _outline(self._projected(index, skull), shape)
        mesh = self.track.points_px[index, :468, :2]
        if np.isfinite(mesh).all():
            head = np.maximum(head, _outline(mesh * self._scale, shape))
        for ear in solid.ears:
            head = np.maximum(head, _grown(_outline(self._projected(index, ear), shape), 2))
        neck = _grown(_outline(self._projected(index, solid.neck), shape), 3)
        return head, neck

    def _face_coordinates(self, index: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Per pixel: height along the face (chin 0, hairline 1) and offset to its side in face widths."""
        chin, forehead = self._projected(index, np.stack([self.solid.chin, self.solid.forehead]))
        up = forehead - chin
        across = np.array([-up[1], up[0]]) * self.solid.width_cm / self.solid.height_cm
        y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
        x, y = x - chin[0], y - chin[1]
        return (x * up[0] + y * up[1]) / (up @ up), (x * across[0] + y * across[1]) / (across @ across)

    def _projected(self, index: int, points: np.ndarray) -> np.ndarray:
        pose = self.track.pose[index : index + 1]
        return project(to_world(points[None].astype(float), pose)[0], self.track.camera) * self._scale

    def _shrunk(self, frame: np.ndarray, matte: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import cv2

        size = (round(frame.shape[1] * self._scale), round(frame.shape[0] * self._scale))
        return (
            cv2.resize(frame, size, interpolation=cv2.INTER_AREA),
            cv2.resize(matte, size, interpolation=cv2.INTER_AREA),
        )


def head_alpha(
    labels: UInt8[np.ndarray, "height width"], matte: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width"]:
    """The head's share of each pixel, in [0, 1]: what a field's opacity is held against.

    Against the background it is the matte with its soft edge. Against the neck the head is continued 3.5 px (at 256 px)
    and fades over 2 px, so that a rendered head overlaps the true neck; against clothes, which do not follow the head,
    only half a pixel (shared study of field quality, section 6: cures the dotted line along the jaw). Distances scale
    with the picture's shorter side. Runs without OpenCV, as training may.
    """
    head, neck, torso = (around(labels == label) for label in (HEAD, NECK, TORSO))
    body = np.maximum(neck + torso, 1e-9)
    share = head / (head + body)
    overlap = _TORSO_OVERLAP_AT_256_PX + (_NECK_OVERLAP_AT_256_PX - _TORSO_OVERLAP_AT_256_PX) * neck / body
    near, far = (_share_beyond(overlap + side * _FEATHER_AT_256_PX / 2) for side in (-1, 1))
    inside = np.clip((share - far) / (near - far), 0.0, 1.0)
    return (inside * matte).astype(np.float32)


def around(mask: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """How much of `mask` lies around each pixel: a tent of half-width 8 px (at 256 px).

    A trace of a four times wider tent settles pixels of the soft fringe that lie further from any label.
    """
    from scipy.ndimage import uniform_filter

    width = max(2, round(_TENT_AT_256_PX * min(mask.shape) / 256))
    blurred = uniform_filter(uniform_filter(mask.astype(np.float32), width), width)
    return blurred + 1e-3 * uniform_filter(uniform_filter(blurred, 4 * width), 4 * width)


def _share_beyond(distance_at_256_px: np.ndarray) -> np.ndarray:
    """A half plane's share under the tent at this distance outside its edge (negative: inside)."""
    reach = np.clip(distance_at_256_px / _TENT_AT_256_PX, -1.0, 1.0)
    return np.where(reach > 0, 0.5 * (1 - reach) ** 2, 1 - 0.5 * (1 + reach) ** 2)


def _notch(soft: np.ndarray, height: np.ndarray, outward: np.ndarray) -> float:
    """Height where the person, followed down beside the face, has become as narrow as it gets before the shoulder."""
    steps = np.arange(_HAIR_ABOVE, _NOTCH_DOWN_TO, -0.02)
    beside = (outward > 0.2) & (outward < 1.3)
    row = np.floor((_HAIR_ABOVE - height) / 0.02).astype(int)
    inside = beside & (row >= 0) & (row < len(steps))
    area = np.bincount(row[inside], soft[inside] > 0.5, len(steps))
    width = area / np.maximum(np.bincount(row[inside], minlength=len(steps)), 1) * 1.1
    return float(steps[np.argmax(width <= width.min() + 0.03)])


def _strands(body: np.ndarray) -> np.ndarray:
    """Parts of neck and torso too thin or too far from the solid body to be one: the outer rim of ears and hair."""
    import cv2

    solid = cv2.morphologyEx(_bytes(body), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    count, parts, figures, _ = cv2.connectedComponentsWithStats(solid)
    if count < 2:
        return body.astype(np.float32)
    areas = figures[1:, cv2.CC_STAT_AREA]
    large = np.isin(parts, 1 + np.flatnonzero(areas > 0.1 * areas.max()))
    return (body & (_grown(_bytes(large), 4) == 0)).astype(np.float32)


def _step(height: np.ndarray) -> np.ndarray:
    """0 below, 1 above, over 2 % of the face's height."""
    return np.clip(height / 0.02 + 0.5, 0.0, 1.0)


def _lab(frame: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).astype(np.float32)


def _typical(samples: np.ndarray) -> np.ndarray:
    """The samples without the fifth that lies furthest from the median (shine, brows, background)."""
    distance = np.linalg.norm(samples - np.median(samples, 0), axis=-1)
    return samples[distance <= np.quantile(distance, 0.8)]


def _bytes(mask: np.ndarray) -> np.ndarray:
    return (mask * 255).astype(np.uint8)


def _outline(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Filled convex hull with an anti-aliased rim, in [0, 1]; `points` with pixel corners at integers."""
    import cv2

    picture = np.zeros(shape, np.uint8)
    hull = cv2.convexHull(np.round((points - 0.5) * 16).astype(np.int32))
    cv2.fillConvexPoly(picture, hull, 255, lineType=cv2.LINE_AA, shift=4)
    return picture.astype(np.float32) / 255.0


def _grown(mask: np.ndarray, radius: int) -> np.ndarray:
    import cv2

    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask, disc)


__all__ = [
    "BACKGROUND",
    "HEAD",
    "NECK",
    "TORSO",
    "BackgroundPlate",
    "ClipRegions",
    "Matter",
    "around",
    "foreground",
    "head_alpha",
]
