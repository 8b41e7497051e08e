"""What rendering needs of a person's clip besides weights; kept in the run folder, so that a run stands alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from talkface.errors import UserError
from talkface.face.torso import TorsoModel
from talkface.io.store import PersonFolder
from talkface.io.whole import write_whole
from talkface.types import Camera, Pose


@dataclass(frozen=True, eq=False)
class SourceClip:
    """One person's clip without its pictures: camera, head motion, blinks, and what stands around the head."""

    camera: Camera
    pose: Pose
    closure: Float[np.ndarray, " frames"]
    """Mean of both eyes, 0 open to 1 shut; 0 where there was no face."""
    valid: Bool[np.ndarray, " frames"]
    background: UInt8[np.ndarray, "height width 3"]
    torso: TorsoModel

    @classmethod
    def of(cls, folder: PersonFolder) -> SourceClip:
        """Gather it from a processed folder."""
        track = folder.track
        return cls(
            track.camera,
            track.pose,
            np.nan_to_num(track.closure.mean(1)),
            track.valid,
            folder.background,
            TorsoModel.from_folder(folder),
        )

    def save(self, run: Path) -> None:
        """Write the torso and then `source.npz` into the run folder: where the second is, both are."""
        arrays = {
            "camera": np.array([self.camera.focal_px, *self.camera.center_px, *self.camera.size_px]),
            "rotation": self.pose.rotation,
            "translation": self.pose.translation,
            "closure": self.closure,
            "valid": self.valid,
            "background": self.background,
        }
        self.torso.save(run / "torso.npz")
        write_whole(run / "source.npz", lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))

    @classmethod
    def load(cls, run: Path) -> SourceClip:
        """Read what `save` wrote.

        Raises:
            UserError: a file is absent or damaged.
        """
        path = run / "source.npz"
        try:
            with np.load(path, allow_pickle=False) as data:
                focal_px, center_x, center_y, height, width = data["camera"]
                camera = Camera(float(focal_px), (float(center_x), float(center_y)), (int(height), int(width)))
                pose = Pose(data["rotation"], data["translation"])
                closure, valid, background = data["closure"], data["valid"], data["background"]
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{path} is absent or damaged; train again, or finish with --resume") from error
        return cls(camera, pose, closure, valid, background, TorsoModel.load(run / "torso.npz"))
