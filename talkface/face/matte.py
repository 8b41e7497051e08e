"""Where the person is: a soft matte per frame, and the person's own colour along its edge."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from talkface.face.hush import hushed, load_mediapipe

_RADIUS_AT_512_PX = 6
_EPSILON = 1e-4
_RIM_AT_512_PX = 2
_LOW, _HIGH = 0.15, 0.85


class Matter:
    """Person matte of single frames: mediapipe's selfie mask sharpened along the picture's edges.

    Source: shared study of tracking, section 6.1 (guided filter of radius 6 px at 512 px, eps 1e-4, then a stretch of
    [0.15, 0.85] to [0, 1]). Frames are independent of each other, so any frame may be asked for again.

    Raises:
        UserError: mediapipe is not installed.
    """

    def __init__(self) -> None:
        segmentation = load_mediapipe().solutions.selfie_segmentation
        with hushed():  # the notes come with the first picture
            self._network = segmentation.SelfieSegmentation(model_selection=0)
            self._network.process(np.zeros((64, 64, 3), np.uint8))

    def __call__(self, frame: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width"]:
        """How much of each pixel is person, in [0, 1]; `frame` is RGB."""
        mask = np.asarray(self._network.process(np.ascontiguousarray(frame)).segmentation_mask, np.float32)
        radius = max(2, round(_RADIUS_AT_512_PX * min(frame.shape[:2]) / 512))
        sharp = guided_filter(frame, mask, radius, _EPSILON)
        return np.clip((sharp - _LOW) / (_HIGH - _LOW), 0.0, 1.0).astype(np.float32)


def guided_filter(
    guide: UInt8[np.ndarray, "height width 3"], mask: Float[np.ndarray, "height width"], radius: int, epsilon: float
) -> Float[np.ndarray, "height width"]:
    """`mask` made locally a linear function of the guide's brightness; `epsilon` for a guide in [0, 1].

    Source: guided filter (He et al. 2010) with its coefficients at half size (He and Sun 2015), `radius` at full size.
    """
    import cv2

    grey = cv2.cvtColor(guide, cv2.COLOR_RGB2GRAY)
    half = ((grey.shape[1] + 1) // 2, (grey.shape[0] + 1) // 2)
    small = cv2.resize(grey, half, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    small_mask = cv2.resize(mask, half, interpolation=cv2.INTER_AREA)
    window = (radius | 1, radius | 1)

    def mean(picture: np.ndarray) -> np.ndarray:
        return cv2.blur(picture, window, borderType=cv2.BORDER_REFLECT)

    grey_mean, mask_mean = mean(small), mean(small_mask)
    slope = (mean(small * small_mask) - grey_mean * mask_mean) / (mean(small * small) - grey_mean**2 + epsilon)
    offset = mask_mean - slope * grey_mean
    size = (grey.shape[1], grey.shape[0])
    slope, offset = (cv2.resize(mean(c), size, interpolation=cv2.INTER_LINEAR) for c in (slope, offset))
    return slope * (grey * np.float32(1 / 255)) + offset


def foreground(
    frame: UInt8[np.ndarray, "height width 3"],
    matte: Float[np.ndarray, "height width"],
    background: UInt8[np.ndarray, "height width 3"],
) -> UInt8[np.ndarray, "height width 3"]:
    """The person's own colour: laid over a new background with `matte`, none of the old one shows.

    Equal to the frame inside; a rim 2 px deep (at 512 px), where codecs smear the old background into a full matte,
    fades to the nearby colour. Along the edge the old background is taken out, regularised by the nearby
    colour of the person: ``F = S + m (I - m S - (1 - m) B)`` with S the matte-weighted mean around the pixel (blur
    fusion, Forte 2021, with the plate in place of an estimated background). Where the matte is 0, S alone.
    """
    import cv2

    height, width = matte.shape
    half = ((width + 1) // 2, (height + 1) // 2)
    colour = cv2.resize(frame, half, interpolation=cv2.INTER_AREA).astype(np.float32)
    behind = cv2.resize(background, half, interpolation=cv2.INTER_AREA).astype(np.float32)
    alpha = cv2.resize(matte, half, interpolation=cv2.INTER_AREA)[..., None]
    rim = 2 * max(1, round(_RIM_AT_512_PX * min(matte.shape) / 512)) + 1
    inner = cv2.blur(cv2.erode(matte, np.ones((rim, rim), np.uint8)), (3, 3))[..., None]
    weight = np.maximum(cv2.resize(inner, half, interpolation=cv2.INTER_AREA)[..., None], 1e-4) ** 2
    radius = max(2, round(_RADIUS_AT_512_PX * min(matte.shape) / 1024))
    near = colour
    for size in (6 * radius, radius):
        window = (2 * size + 1, 2 * size + 1)
        local = cv2.blur(near * weight, window) / np.maximum(cv2.blur(weight, window), 1e-8)[..., None]
        near = np.clip(local + alpha * (colour - alpha * local - (1.0 - alpha) * behind), 0.0, 255.0)
    smooth = np.clip(cv2.resize(local, (width, height), interpolation=cv2.INTER_LINEAR), 0.0, 255.0)
    own = np.round(smooth + np.where(matte[..., None] > 0.999, inner, 0.0) * (frame - smooth)).astype(np.uint8)
    edge = np.nonzero((matte > 0.0) & (matte <= 0.999))
    part = matte[edge][:, None]
    unmixed = smooth[edge] + part * (frame[edge] - part * smooth[edge] - (1.0 - part) * background[edge])
    own[edge] = np.clip(np.round(unmixed), 0.0, 255.0)
    return own


__all__ = ["Matter", "foreground", "guided_filter"]
