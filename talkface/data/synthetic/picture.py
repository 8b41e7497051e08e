"""Drawing a posed figure: what a camera sees of it, with exact labels, coverage and depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from talkface.data.synthetic.figure import HEAD, NECK, TORSO, Figure
from talkface.data.synthetic.light import LightTable, to_srgb
from talkface.data.synthetic.paint import WIDTH
from talkface.data.synthetic.raster import rasterise, vertex_normals
from talkface.types import Camera

SAMPLES = 2
"""Samples per pixel and side."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One view of one moment."""

    colour: Float[np.ndarray, "height width 3"]
    """sRGB in [0, 1], over the background."""
    labels: UInt8[np.ndarray, "height width"]
    """What most of the pixel shows: 0 background, 1 head, 2 neck, 3 torso."""
    alpha: Float[np.ndarray, "height width"]
    """How much of the pixel the person covers."""
    head_alpha: Float[np.ndarray, "height width"]
    """How much of the pixel the head covers."""
    depth: Float[np.ndarray, "height width"]
    """Distance along the viewing axis of what is seen of the person, cm; infinite on the background."""
    landmarks_px: Float[np.ndarray, "68 2"]
    """Exact iBUG landmarks, hidden ones included."""


def draw(
    figure: Figure,
    world: Float[np.ndarray, "vertices 3"],
    tint: Float[np.ndarray, "vertices 3"],
    camera: Camera,
    light: LightTable,
    background: Float[np.ndarray, "height width 3"],
    shown: Bool[np.ndarray, " triangles"] | None = None,
) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width 4"], Float[np.ndarray, "height width"]]:
    """Colour (sRGB), share of the pixel per label and depth of a figure before a linear background.

    `shown` limits the drawing to some triangles.
    """
    height, width = camera.size_px
    triangles = figure.triangles if shown is None else figure.triangles[shown]
    labels = figure.labels if shown is None else figure.labels[shown]
    normal = vertex_normals(world, triangles)
    from_camera = camera.world_from_camera[:3, :3].astype(np.float32)
    local = (world - camera.world_from_camera[:3, 3].astype(np.float32)) @ from_camera
    depth = local[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        points = (local[:, :2] / depth[:, None] * camera.focal_px + np.asarray(camera.center_px)) * SAMPLES
    hits = rasterise(points, depth, triangles, (height * SAMPLES, width * SAMPLES))

    attributes = np.concatenate(
        [normal @ from_camera[:, :2], tint, figure.gloss, figure.texels, 1 / depth[:, None].clip(1)], 1
    ).astype(np.float32)
    seen = hits.interpolate(attributes, triangles)
    texel = np.rint(seen[:, 7:9]).astype(np.int32)
    albedo = np.take(figure.texture, texel[:, 1] * WIDTH + texel[:, 0], 0)
    albedo *= seen[:, 2:5]
    colour = np.repeat(np.repeat(background, SAMPLES, 0), SAMPLES, 1).reshape(-1, 3)
    colour[hits.sample] = light.shade(seen[:, :2], albedo, seen[:, 5:7])

    per_pixel = SAMPLES**2
    pixel = (hits.sample // (width * SAMPLES) // SAMPLES) * width + hits.sample % (width * SAMPLES) // SAMPLES
    kinds = labels[hits.triangle].astype(np.int64)
    share = np.bincount(pixel * 4 + kinds, minlength=height * width * 4).reshape(height, width, 4) / per_pixel
    share[..., 0] = 1 - share[..., 1:].sum(-1)
    covered = share[..., 1:].sum(-1) * per_pixel
    inverse = np.bincount(pixel, seen[:, 9], minlength=height * width).reshape(height, width)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(covered > 0, covered / inverse, np.inf)
    mean = colour.reshape(height, SAMPLES, width, SAMPLES, 3).mean((1, 3))
    return to_srgb(mean), share.astype(np.float32), distance.astype(np.float32)


def majority(share: Float[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "height width"]:
    """The label that covers most of each pixel; a tie goes to the person."""
    return np.array([HEAD, NECK, TORSO, 0], np.uint8)[share[..., [1, 2, 3, 0]].argmax(-1)]
