"""One model of a person's neck and shoulders that joins a rendered head at any pose. Rendering needs no OpenCV."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch.nn.functional import grid_sample, interpolate

from talkface.errors import UserError
from talkface.face.torso_motion import TorsoSource, gather
from talkface.face.torso_plate import torso_plate
from talkface.geometry import angle_between

_NECK_FRONT_CM = 2.0
"""The neck seen as a plane at this depth of the head frame: between its outline and its front."""
_NECK_HALF_WIDTH = 0.42
_SHOULDER = 0.85
"""In face widths: up to the first the neck follows the head, from the second on the shoulder stays."""
_COARSE = 4


@dataclass(frozen=True, eq=False)
class TorsoModel:
    """Key torso plates, the torso's motion in every frame, and how the neck follows the head.

    A frame's torso is its key plate moved by a smooth motion field; for a head pose that is not the frame's own the
    neck is bent in addition: at the jaw it follows the head rigidly, at the collar and the shoulders it stays.
    Deterministic, no network. Source: ours.
    """

    plates: UInt8[np.ndarray, "keys height width 4"]
    """Straight RGBA."""
    key_of_frame: Int[np.ndarray, " frames"]
    motion: Float[np.ndarray, "frames 2 rows columns"]
    """From a pixel of the frame to the matching one of its key plate, x and y in px, on a coarse grid of cells."""
    rotation: Float[np.ndarray, "frames 3 3"]
    translation: Float[np.ndarray, "frames 3"]
    """Head pose in every frame, world from head, cm."""
    usable: Int[np.ndarray, " usable"]
    """Frames of which the nearest pose is taken when none is asked for."""
    camera: Float[np.ndarray, 3]
    """Focal length and principal point (x, y), px."""
    neck: Float[np.ndarray, 3]
    """Chin height in the head frame, distance from chin down to collar, width of the face; cm."""

    @classmethod
    def from_folder(cls, folder: TorsoSource) -> TorsoModel:
        """Gather the model from a processed folder: plates from its training frames, motion from every valid frame.

        About 10 ms a frame at 512 px. Needs OpenCV.
        """
        return cls(**gather(folder))

    def picture(
        self,
        rotation: Float[np.ndarray, "3 3"],
        translation: Float[np.ndarray, "3"],
        frame_index: int | None = None,
    ) -> Float[np.ndarray, "height width 4"]:
        """Neck and torso for a head at this pose: straight RGBA in [0, 1].

        Args:
            rotation: World from head, as seen by the source camera; for another viewpoint give the pose that shows
                the head to the source camera as the other camera sees it.
            translation: The same, cm.
            frame_index: Whose torso; by default that of the usable frame with the nearest head pose. With its own head
                pose a frame's torso comes out unbent.
        """
        frame = self.nearest(rotation, translation) if frame_index is None else frame_index
        _, height, width, _ = self.plates.shape
        rows, columns = -(-height // _COARSE), -(-width // _COARSE)
        y = (np.arange(rows) + 0.5) * height / rows
        x = (np.arange(columns) + 0.5) * width / columns
        pixels = np.stack(np.meshgrid(x, y), -1)
        bent = pixels + self._bend(pixels, rotation, translation, frame)
        source = bent + _sampled(self.motion[frame].astype(np.float32), bent, (height, width)).transpose(1, 2, 0)
        offset = torch.from_numpy((source - pixels).astype(np.float32)).permute(2, 0, 1)[None]
        offset = interpolate(offset, (height, width), mode="bilinear", align_corners=False)[0]
        full = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1)
        plate = self.plates[self.key_of_frame[frame]].astype(np.float32) / 255.0
        plate[..., :3] *= plate[..., 3:]
        moved = _sampled(plate.transpose(2, 0, 1), full + offset.permute(1, 2, 0).numpy(), (height, width))
        alpha = moved[3:]
        return np.concatenate([moved[:3] / np.maximum(alpha, 1e-4), alpha]).transpose(1, 2, 0).clip(0.0, 1.0)

    def nearest(self, rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, "3"]) -> int:
        """The usable frame whose head pose is nearest; a degree counts as much as 2 mm."""
        turn_deg = np.degrees(angle_between(self.rotation[self.usable], rotation))
        shift_mm = 10 * np.linalg.norm(self.translation[self.usable] - translation, axis=-1)
        return int(self.usable[np.argmin(turn_deg + shift_mm / 2)])

    def resized(self, size_px: tuple[int, int]) -> TorsoModel:
        """The same model at another resolution of the same picture."""
        scale = size_px[1] / self.plates.shape[2]
        plates = []
        for plate in self.plates:
            straight = plate.astype(np.float32) / 255.0
            straight[..., :3] *= straight[..., 3:]
            small = interpolate(torch.from_numpy(straight).permute(2, 0, 1)[None], size_px, mode="area")[0].numpy()
            small[:3] /= np.maximum(small[3:], 1e-4)
            plates.append(np.round(small.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))
        motion = (self.motion * scale).astype(self.motion.dtype)
        return replace(self, plates=np.stack(plates), motion=motion, camera=self.camera * scale)

    def save(self, path: Path) -> None:
        """Write one compressed npz, beside its name first."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            np.savez_compressed(file, **{f.name: getattr(self, f.name) for f in fields(self)})
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> TorsoModel:
        """Read what `save` wrote.

        Raises:
            UserError: the file is absent or is not a torso model.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                arrays = {f.name: data[f.name] for f in fields(cls)}
        except (OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error) as error:
            raise UserError(f"{path} is not a torso model: {error}") from error
        keys, key_of_frame = len(arrays["plates"]), arrays["key_of_frame"]
        frames = key_of_frame.shape
        shapes = (arrays["motion"].shape[:2], arrays["rotation"].shape, arrays["translation"].shape)
        if shapes != ((*frames, 2), (*frames, 3, 3), (*frames, 3)) or not (
            0 <= key_of_frame.min() <= key_of_frame.max() < keys
        ):
            raise UserError(f"{path} is not a torso model: its arrays do not fit together")
        return cls(**arrays)

    def _bend(self, pixels: np.ndarray, rotation: np.ndarray, translation: np.ndarray, frame: int) -> np.ndarray:
        """From pixels of the wanted picture to the frame's own: the head's motion, fading towards the chest."""
        focal, center = self.camera[0], self.camera[1:]
        chin_cm, reach_cm, width_cm = self.neck
        offset = (pixels - center) / focal
        rays = np.stack([offset[..., 0], -offset[..., 1], -np.ones(offset.shape[:-1])], -1)
        local_rays, eye = rays @ rotation, -translation @ rotation
        depth = (_NECK_FRONT_CM - eye[2]) / np.minimum(local_rays[..., 2], -1e-3)
        points = eye + depth[..., None] * local_rays
        world = points @ self.rotation[frame].T + self.translation[frame]
        own = world[..., :2] / -world[..., 2:] * [focal, -focal] + center
        down = _smooth((chin_cm - points[..., 1]) / reach_cm)
        out = _smooth((np.abs(points[..., 0]) / width_cm - _NECK_HALF_WIDTH) / (_SHOULDER - _NECK_HALF_WIDTH))
        return ((1 - down) * (1 - out))[..., None] * (own - pixels)


def compose(
    head_colour: Float[np.ndarray, "height width 3"],
    head_opacity: Float[np.ndarray, "height width"],
    torso: Float[np.ndarray, "height width 4"],
    background: Float[np.ndarray, "#height #width 3"],
) -> Float[np.ndarray, "height width 3"]:
    """Head over torso over background, all in [0, 1].

    Args:
        head_colour: *Premultiplied* by the opacity, as volume rendering gives it (not yet over any background).
        torso: *Straight* RGBA, as `TorsoModel.picture` gives it.
        background: A picture, or one colour as a 1 x 1 picture.
    """
    below = torso[..., 3:]
    behind = torso[..., :3] * below + background * (1 - below)
    return head_colour + (1 - head_opacity[..., None]) * behind


def cut_out(
    head_colour: Float[np.ndarray, "height width 3"],
    head_opacity: Float[np.ndarray, "height width"],
    torso: Float[np.ndarray, "height width 4"],
) -> Float[np.ndarray, "height width 4"]:
    """Head over torso over nothing: straight RGBA, for a transparent background. Inputs as for `compose`."""
    below = torso[..., 3:] * (1 - head_opacity[..., None])
    alpha = head_opacity[..., None] + below
    colour = (head_colour + torso[..., :3] * below) / np.maximum(alpha, 1e-4)
    return np.concatenate([colour, alpha], -1)


def _smooth(part: np.ndarray) -> np.ndarray:
    part = np.clip(part, 0.0, 1.0)
    return part * part * (3 - 2 * part)


def _sampled(picture: np.ndarray, at_px: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """Bilinear look-up of channels-first `picture`, which covers `size_px` whatever its own resolution."""
    grid = torch.from_numpy((at_px / [size_px[1], size_px[0]] * 2 - 1).astype(np.float32))[None]
    source = torch.from_numpy(np.ascontiguousarray(picture, np.float32))[None]
    return grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=False)[0].numpy()


__all__ = ["TorsoModel", "compose", "cut_out", "torso_plate"]
