"""A fabricated person for the score tests: a drawn face whose pose, mouth and lids are known, and a detector that
measures them back from pixels, so that a worse picture gives worse landmarks."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from talkface.face.detect import LANDMARKS_68
from talkface.types import SPEECH_HZ, Camera, Pose, Speech, Track

SIZE_PX = (96, 96)
_PX_PER_CM, _DEPTH_CM = 3.0, 60.0
_HALF_HEAD_CM = (8.0, 10.0)
_MOUTH_CM = (0.0, -5.0)
_EYES_CM = ((-3.2, 1.0), (3.2, 1.0))
_SKIN, _LIPS, _WHITE = np.array([0.8, 0.6, 0.5]), np.array([0.35, 0.05, 0.1]), np.array([1.0, 1.0, 1.0])


class DrawnPerson:
    """Satisfies `metrics.pictures.Pictures`; 3-D points lie in the face plane, the head only moves sideways."""

    def __init__(self, frames: int = 220, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._kept: dict[int, np.ndarray] = {}
        time = np.arange(frames)
        self.size_px = SIZE_PX
        self.opening_cm = 1.3 + 1.2 * np.sin(time * 0.53) * np.cos(time * 0.17)
        shut = np.zeros(frames)
        for start in range(12, frames, 37):
            shut[start : start + 5] = np.array([0.4, 0.9, 1.0, 0.7, 0.3])[: frames - start]
        self.shut = shut
        shift = ndimage.gaussian_filter1d(rng.normal(0, 6, (frames, 2)), 6, axis=0)
        translation = np.column_stack([shift, np.full(frames, -_DEPTH_CM)])
        self.camera = Camera(_PX_PER_CM * _DEPTH_CM, (SIZE_PX[1] / 2, SIZE_PX[0] / 2), SIZE_PX)
        landmarks = np.array([self._shape(o, c) for o, c in zip(self.opening_cm, shut, strict=True)])
        centre = translation[:, None, :2]
        flat = (landmarks[..., :2] + centre) * (_PX_PER_CM, -_PX_PER_CM) + SIZE_PX[0] / 2
        points = np.zeros((frames, 478, 3))
        points[:, LANDMARKS_68, :2] = flat
        self.track = Track(
            fps=25.0,
            camera=self.camera,
            pose=Pose(np.repeat(np.eye(3)[None], frames, 0), translation),
            points_px=points,
            landmarks_px=flat,
            landmarks=landmarks,
            closure=np.column_stack([shut, shut]),
            gaze=np.zeros((frames, 2)),
            identity=np.zeros(1),
            expression=np.zeros((frames, 1)),
            expression_names=("none",),
            face_model="average",
            residual=np.zeros(frames),
            valid=np.ones(frames, bool),
            reason=("",) * frames,
        )
        cut = frames * 10 // 11
        self.train_indices, self.test_indices = np.arange(cut), np.arange(cut, frames)
        loud = np.interp(np.arange(frames * SPEECH_HZ // 25) / (SPEECH_HZ / 25), time, self.opening_cm)
        self.speech = Speech((0.1 * loud * rng.normal(size=len(loud))).clip(-1, 1))
        self._grain = ndimage.gaussian_filter(rng.normal(0, 0.3, (*SIZE_PX, 3)), (1.5, 1.5, 0))

    def truth(self, index: int) -> np.ndarray:
        if index not in self._kept:
            self._kept[index] = self.drawn(index, self.opening_cm[index], self.shut[index])
        return self._kept[index]

    def drawn(self, index: int, opening_cm: float, shut: float) -> np.ndarray:
        """The frame with another mouth and other lids."""
        head = self.head(index)[..., None]
        x, y = self._face_cm(index)
        colour = self._background() * (1 - head) + head * (_SKIN + 0.02 * np.stack([x, y, x], -1) / 3)
        for at, half, paint in (
            (_MOUTH_CM, (2.5, max(opening_cm, 0.05) / 2), _LIPS),
            (_EYES_CM[0], (1.3, 0.6 * (1 - shut) + 0.01), _WHITE),
            (_EYES_CM[1], (1.3, 0.6 * (1 - shut) + 0.01), _WHITE),
        ):
            inside = _soft((np.abs(x - at[0]) - half[0]), (np.abs(y - at[1]) - half[1]))
            colour = colour * (1 - inside) + paint * inside
        return colour.clip(0, 1).astype(np.float32)

    def head(self, index: int) -> np.ndarray:
        x, y = self._face_cm(index)
        radius = np.hypot(x / _HALF_HEAD_CM[0], y / _HALF_HEAD_CM[1])
        return ((1 - radius) * 8 * _PX_PER_CM).clip(0, 1).astype(np.float32)

    def plate(self, index: int) -> np.ndarray:
        head = self.head(index)[..., None]
        return np.where(head > 0, (1 - head) * self.truth(index) + head * self._background(), self.truth(index)).astype(
            np.float32
        )

    def landmarks_px(self, index: int) -> np.ndarray:
        return self.track.landmarks_px[index]

    def _background(self) -> np.ndarray:
        return (np.array([0.1, 0.3, 0.6]) + self._grain).clip(0, 1)

    def _face_cm(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        y, x = np.mgrid[: SIZE_PX[0], : SIZE_PX[1]] + 0.5
        left, up = self.track.pose.translation[index][:2]
        return (x - SIZE_PX[1] / 2) / _PX_PER_CM - left, -(y - SIZE_PX[0] / 2) / _PX_PER_CM - up

    @staticmethod
    def _shape(opening_cm: float, shut: float) -> np.ndarray:
        angle = np.linspace(np.pi, 2 * np.pi, 17)
        shape = np.zeros((68, 3))
        shape[:17, 0], shape[:17, 1] = 8 * np.cos(angle), 10 * np.sin(angle)
        shape[17:27, 0], shape[17:27, 1] = np.linspace(-5, 5, 10), 3
        shape[27:31, 1] = np.linspace(1, -2, 4)
        shape[31:36, 0], shape[31:36, 1] = np.linspace(-1, 1, 5), -2.3
        lid = 0.6 * (1 - shut)
        for first, middle in ((36, -3.2), (42, 3.2)):
            shape[first : first + 6, 0] = middle + np.array([-1.3, -0.5, 0.5, 1.3, 0.5, -0.5])
            shape[first : first + 6, 1] = 1 + np.array([0, lid, lid, 0, -lid, -lid])
        turn = np.linspace(np.pi, -np.pi, 13)[:12]
        shape[48:60, 0], shape[48:60, 1] = 2.5 * np.cos(turn), -5 + (0.4 + opening_cm / 2) * np.sin(turn)
        turn = np.linspace(np.pi, -np.pi, 9)[:8]
        shape[60:68, 0], shape[60:68, 1] = 2 * np.cos(turn), -5 + np.sign(np.sin(turn)) * opening_cm / 2
        shape[[60, 64], 1] = -5
        return shape


def detect(frame: np.ndarray) -> np.ndarray | None:
    """Mesh [478, 3] from a drawn frame (uint8): place from the skin's middle, mouth and lids from their colours."""
    enlarged = frame.shape[0] // SIZE_PX[0]
    colour = frame[enlarged // 2 :: enlarged, enlarged // 2 :: enlarged].astype(float) / 255
    skin = (colour[..., 0] > 0.6) & (colour[..., 2] < 0.75) | (np.abs(colour - _LIPS).sum(-1) < 0.3)
    if skin.sum() < 500:
        return None
    per_cm = _PX_PER_CM
    ys, xs = np.nonzero(skin)
    x, y = (xs.min() + xs.max() + 1) / 2, ys.min() + _HALF_HEAD_CM[1] * per_cm
    lips = np.clip(1 - np.abs(colour - _LIPS).sum(-1) / 0.9, 0, 1)
    column = lips[:, int(x - per_cm) : int(x + per_cm)].mean(1)
    mouth = column[int(y + 2 * per_cm) : int(y + 8 * per_cm)].sum() / per_cm
    white = np.clip((colour[int(y - 3 * per_cm) : int(y + per_cm), :, 2] - 0.6) / 0.4, 0, 1)
    middles = [x + at[0] * per_cm for at in _EYES_CM]
    sides = [white[:, int(middle - 0.4 * per_cm) : int(middle + 0.4 * per_cm)].mean(1) for middle in middles]
    lid = np.mean([side.sum() for side in sides]) / per_cm
    points = np.zeros((478, 3))
    shape = DrawnPerson._shape(mouth, 1 - min(lid / 1.2, 1.0))
    points[list(LANDMARKS_68)] = shape * (per_cm, -per_cm, per_cm) + (x, y, 0)
    points[10] = (x, y - _HALF_HEAD_CM[1] * per_cm, 0)
    return points * enlarged


def _soft(dx_cm: np.ndarray, dy_cm: np.ndarray) -> np.ndarray:
    """How much of a pixel lies in a box, given signed distances to its sides."""
    return ((0.5 - dx_cm * _PX_PER_CM).clip(0, 1) * (0.5 - dy_cm * _PX_PER_CM).clip(0, 1))[..., None]
