"""The parcels: the few typed records that rooms exchange.

Conventions, fixed once for the whole house (see docs/conventions.md):
    - world: origin at the source camera's centre, x to the viewer's right, y up, z towards the viewer; centimetres
    - head: x to the subject's left (the viewer's right), y up, z out of the face; a frontal head has rotation I
    - camera: x right, y down, z forward; pixel (0, 0) is the *corner* of the first pixel, its centre is (0.5, 0.5)
    - times in seconds, angles in radians, lengths in centimetres, images RGB
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

FPS = 25.0
"""Frames per second after preprocessing."""
SPEECH_HZ = 16_000
"""Samples per second of every waveform after reading."""

SOURCE_CAMERA: Float[np.ndarray, "4 4"] = np.diag([1.0, -1.0, -1.0, 1.0])
"""World from camera of the source camera: at the origin, looking along -z."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: square pixels, no distortion."""

    focal_px: float
    center_px: tuple[float, float]
    """Principal point (x, y)."""
    size_px: tuple[int, int]
    """Picture (height, width)."""
    world_from_camera: Float[np.ndarray, "4 4"] = field(default_factory=SOURCE_CAMERA.copy)

    def resized(self, size_px: tuple[int, int]) -> Camera:
        """The same view at another resolution with the same aspect ratio (within a pixel)."""
        scale = size_px[1] / self.size_px[1]
        center = (self.center_px[0] * scale, self.center_px[1] * scale)
        return Camera(self.focal_px * scale, center, size_px, self.world_from_camera)

    def cropped(self, left: int, top: int, size_px: tuple[int, int]) -> Camera:
        """The view through a crop of the picture; the crop may reach outside it."""
        center = (self.center_px[0] - left, self.center_px[1] - top)
        return Camera(self.focal_px, center, size_px, self.world_from_camera)


@dataclass(frozen=True)
class Pose:
    """Head pose over time: world from head."""

    rotation: Float[np.ndarray, "frames 3 3"]
    translation: Float[np.ndarray, "frames 3"]
    """Position of the head's origin (between the eyes, inside the skull), cm."""

    def __len__(self) -> int:
        return len(self.rotation)

    def __getitem__(self, index: slice | np.ndarray) -> Pose:
        return Pose(self.rotation[index], self.translation[index])


@dataclass(frozen=True)
class Speech:
    """A mono waveform in [-1, 1] at 16 kHz; sample 0 is at the time of the first video frame."""

    waveform: Float[np.ndarray, " samples"]

    @property
    def duration_s(self) -> float:
        return len(self.waveform) / SPEECH_HZ


@dataclass(frozen=True)
class Track:
    """What is known of the face in every frame of a clip. Bad frames stay in place: `valid` is False there.

    Per-frame arrays are NaN where there was no face; pose is interpolated over short gaps so that it is always finite.
    """

    fps: float
    camera: Camera
    """Focal length and principal point, fixed over the clip, at the source camera."""
    pose: Pose
    points_px: Float[np.ndarray, "frames 478 3"]
    """Detected mesh: x, y in px, z relative in px (smaller is nearer)."""
    landmarks_px: Float[np.ndarray, "frames 68 2"]
    """Detected iBUG landmarks (a choice among `points_px`)."""
    landmarks: Float[np.ndarray, "frames 68 3"]
    """Pose-free iBUG landmarks in the head frame, cm: this person's shape with this frame's expression."""
    closure: Float[np.ndarray, "frames 2"]
    """Lid closure of the subject's right and left eye, 0 open to 1 shut."""
    gaze: Float[np.ndarray, "frames 2"]
    """Gaze yaw and pitch relative to the head, radians, signs as for the head; held through blinks."""
    identity: Float[np.ndarray, " identity"]
    expression: Float[np.ndarray, "frames expression"]
    expression_names: tuple[str, ...]
    face_model: str
    """Which face model was fitted: "ict", "canonical" or "average"."""
    residual: Float[np.ndarray, " frames"]
    """Median reprojection error as a fraction of the distance between the iris centres."""
    valid: Bool[np.ndarray, " frames"]
    reason: tuple[str, ...]
    """Per frame: empty when valid, else why not ("no face", "two faces", "cut", "blurred", "fit")."""

    def __len__(self) -> int:
        return len(self.valid)


@dataclass(frozen=True)
class Conditions:
    """What is asked of every frame of a video, beside speech; speech itself is streamed.

    A few numbers per frame, so an hour of video needs some ten megabytes of them. None means "the method decides".
    """

    pose: Pose
    closure: Float[np.ndarray, " frames"]
    """Lid closure, 0 open to 1 shut."""
    world_from_camera: Float[np.ndarray, "frames 4 4"]
    """The viewpoint of every frame; `SOURCE_CAMERA` is the training one."""
    source_frame: Int[np.ndarray, " frames"]
    """Which frame of the training clip lends what the method does not make (torso, background)."""

    def __len__(self) -> int:
        return len(self.closure)


@dataclass(frozen=True)
class Drive:
    """What speech asks of one frame."""

    landmarks: Float[np.ndarray, "68 3"]
    """Pose-free iBUG landmarks, cm."""
    code: Float[np.ndarray, " code"]
    """The method's own audio code, empty where landmarks say it all."""
    closure: float | None = None
    """Lid closure of the moment that the landmarks were tracked at; None where they come from speech."""


@dataclass(frozen=True)
class Frame:
    """One rendered picture: the person, in front of nothing."""

    colour: Float[np.ndarray, "height width 3"]
    """RGB in [0, 1], not multiplied by opacity."""
    opacity: Float[np.ndarray, "height width"]
    """1 where the person hides the background."""


@dataclass(frozen=True)
class Score:
    """One number of a report. `value` is None where it cannot be computed here, and `why` says so."""

    name: str
    value: float | None
    higher_is_better: bool
    frames: int
    region: str = "frame"
    backend: str = "talkface"
    why: str = ""
