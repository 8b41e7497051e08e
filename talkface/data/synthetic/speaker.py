"""The drawn speaker: a person of a seed, saying something, with exact truth of every frame, from every viewpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Bool, Float, UInt8

from talkface import assets
from talkface.data.synthetic.anatomy import Anatomy, ict_anatomy
from talkface.data.synthetic.articulation import emotion_weights, mouth_track, mouth_weights
from talkface.data.synthetic.backdrop import Backdrop, backdrop
from talkface.data.synthetic.builtin import builtin_anatomy
from talkface.data.synthetic.cast import identity_of, look_of
from talkface.data.synthetic.figure import HEAD, TORSO, Figure, Placement
from talkface.data.synthetic.light import Lamp, LightTable, light_table, studio, to_srgb
from talkface.data.synthetic.motion import blinks, brow_beats, gaze, head_motion, loudness, wander
from talkface.data.synthetic.picture import Picture, draw, majority
from talkface.data.synthetic.voice import Phoneme, Utterance, speak
from talkface.errors import UserError
from talkface.face.detect import LANDMARKS_68
from talkface.geometry import project, rotation_from_angles
from talkface.types import Camera, Pose, Speech, Track

HEADS = ("auto", "ict", "builtin")
_PIVOT_CM = np.array([0.0, -9.0, -1.5])
"""Where the head turns on the neck, head frame."""
_STAND_CM = np.array([0.0, -1.0, -77.0])
"""Where the head's origin is at rest, in the world."""


@dataclass(frozen=True)
class SpeakerConfig:
    """Who speaks, what and how.

    Example:
        >>> SpeakerConfig(seed=3, emotion="happy", size_px=128, seconds=4.0).fps
        25.0
    """

    seed: int = 0
    """Of speech, motion and, unless `identity` is given, of the person."""
    identity: int | None = None
    """Which person: face, colours, clothes, room. The same number is the same person under any seed."""
    emotion: str = "neutral"
    emotion_strength: float = 0.8
    size_px: int = 256
    """Side of the square picture."""
    seconds: float = 10.0
    fps: float = 25.0
    voice: str = "alto"
    text: str | None = None
    """What to say; None says sentences of ours. Needs espeak-ng."""
    recorded: bool = False
    """Use the shipped recording even where espeak-ng is installed: the same speech on every machine."""
    head: str = "auto"
    """"ict" (the user's ICT model), "builtin", or "auto": the first that is there."""
    motion: float = 1.0
    """Liveliness of the head, 0 still."""
    blinks_per_minute: float = 18.0

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise UserError(f"no head is called {self.head!r}; there are {', '.join(HEADS)}")
        if not 32 <= self.size_px <= 2048:
            raise UserError(f"a drawn speaker is 32 to 2048 pixels wide, not {self.size_px}")
        if not 0.2 <= self.seconds <= 3600:
            raise UserError(f"a drawn speaker speaks for 0.2 to 3600 seconds, not {self.seconds}")
        if not 1 <= self.fps <= 240:
            raise UserError(f"a drawn speaker has 1 to 240 frames per second, not {self.fps}")


class SyntheticSpeaker:
    """A drawn person saying something; everything about it is known.

    The same configuration gives the same pictures and sounds on every machine with the same face model and voice; with
    espeak-ng in the first speaker of a process, since its breath and phase go on from what it said before.
    """

    def __init__(self, config: SpeakerConfig, closure: Float[np.ndarray, "frames 2"] | None = None) -> None:
        """`closure` commands the lids (right, left; 0 open to 1 shut) instead of a natural rhythm."""
        self.config = config
        self.frames = max(1, round(config.seconds * config.fps))
        who = config.seed if config.identity is None else config.identity
        self.identity, self.figure, self._lamps, self._wall = _person(config.head, who)
        acting = np.random.default_rng([23, config.seed])
        side = config.size_px
        self.camera = Camera(2.2 * side, (side / 2, side / 2), (side, side))

        self.utterance: Utterance = speak(self.frames / config.fps, config.voice, acting, config.text, config.recorded)
        times = (np.arange(self.frames) + 0.5) / config.fps
        loud = loudness(self.utterance.speech, times)
        angles, offset = head_motion(loud, config.fps, config.motion, acting)
        rotation = rotation_from_angles(*angles.T)
        self.pose = Pose(rotation, _STAND_CM + offset + _PIVOT_CM - rotation @ _PIVOT_CM)
        self._torso = self._torso_motion(angles, offset, acting)
        if closure is None:
            closure = blinks(self.frames, config.fps, config.blinks_per_minute, acting)
        elif closure.shape != (self.frames, 2):
            raise UserError(f"the commanded closure must have shape ({self.frames}, 2), not {closure.shape}")
        self.closure = closure.clip(0, 1).astype(float)
        self.gaze = gaze(angles, config.fps, acting)
        self.expression = self._acting(times, loud, acting)

    @property
    def speech(self) -> Speech:
        """What is said, mono 16 kHz."""
        return self.utterance.speech

    @property
    def phonemes(self) -> tuple[Phoneme, ...]:
        """When which sound is said."""
        return self.utterance.phonemes

    @cached_property
    def track(self) -> Track:
        """The truth in the house's form. Of the 478 mesh points only the iBUG landmarks are known; the rest is NaN."""
        landmarks = self.figure.landmark_track(self.expression)
        world = np.einsum("tij,tkj->tki", self.pose.rotation, landmarks) + self.pose.translation[:, None]
        landmarks_px = project(world, self.camera)
        points = np.full((self.frames, 478, 3), np.nan)
        points[:, list(LANDMARKS_68), :2] = landmarks_px
        nearer = world[..., 2] - self.pose.translation[:, None, 2]
        points[:, list(LANDMARKS_68), 2] = nearer / self.pose.translation[:, None, 2] * self.camera.focal_px
        return Track(
            fps=float(self.config.fps),
            camera=self.camera,
            pose=self.pose,
            points_px=points,
            landmarks_px=landmarks_px,
            landmarks=landmarks,
            closure=self.closure,
            gaze=self.gaze,
            identity=self.identity.astype(float),
            expression=self.expression,
            expression_names=self.figure.model.expression_names,
            face_model=self.figure.model.name,
            residual=np.zeros(self.frames),
            valid=np.ones(self.frames, bool),
            reason=("",) * self.frames,
        )

    def frame(
        self,
        index: int,
        camera: Camera | None = None,
        pose: Pose | None = None,
        closure: float | None = None,
        expression: Mapping[str, float] | None = None,
        gaze: tuple[float, float] | None = None,
    ) -> Picture:
        """One moment, as it was or with something about it changed.

        Args:
            index: frame.
            camera: another viewpoint, size or focal length of the same moment.
            pose: another head pose (one frame); the torso stays.
            closure: another lid closure of both eyes.
            expression: ARKit-named weights that replace those of this frame.
            gaze: yaw and pitch relative to the head, radians.
        """
        view = camera or self.camera
        weights = self._weights(index, closure, expression)
        look = self.gaze[index] if gaze is None else np.array(gaze)
        face = self.figure.face(weights)
        head = self._head(index, pose)
        world = self.figure.world(face, look, head, self._body(index))
        tint = self.figure.shaded_tint(face, look)
        light, wall = self._surroundings(view)
        colour, share, depth = draw(self.figure, world, tint, view, light, wall)
        marks = head(self.figure.landmarks(face)).astype(float)
        return Picture(
            colour=colour,
            labels=majority(share),
            alpha=share[..., 1:].sum(-1),
            head_alpha=share[..., HEAD],
            depth=depth,
            landmarks_px=project(marks, view),
        )

    def picture(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """One frame of the clip."""
        return np.round(self.frame(index).colour * 255).astype(np.uint8)

    def pictures(self) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """All frames of the clip."""
        return (self.picture(index) for index in range(self.frames))

    def background(self, camera: Camera | None = None) -> Float[np.ndarray, "height width 3"]:
        """The room without the speaker, sRGB in [0, 1]."""
        return to_srgb(self._surroundings(camera or self.camera)[1])

    def torso(self, index: int, camera: Camera | None = None) -> Float[np.ndarray, "height width 4"]:
        """Neck and torso as they would look without the head: sRGB and coverage in [0, 1]."""
        view = camera or self.camera
        weights = self.expression[index]
        face = self.figure.face(weights)
        world = self.figure.world(face, self.gaze[index], self._head(index, None), self._body(index))
        light, wall = self._surroundings(view)
        shown: Bool[np.ndarray, " triangles"] = self.figure.labels != HEAD
        black = np.zeros_like(wall)
        colour, share, _ = draw(self.figure, world, self.figure.tint, view, light, black, shown)
        return np.concatenate([colour, share[..., 1:].sum(-1, keepdims=True)], -1).clip(0, 1)

    def _weights(
        self, index: int, closure: float | None, expression: Mapping[str, float] | None
    ) -> Float[np.ndarray, " expression"]:
        weights = self.expression[index].copy()
        names = self.figure.model.expression_names
        if closure is not None:
            for side, column in enumerate(self.figure.blink_columns):
                weights[column] = self.figure.blink_weight(np.array([closure]), side)[0]
        for name, value in (expression or {}).items():
            if name not in names:
                raise UserError(f"this head has no expression {name!r}; it has {', '.join(names)}")
            weights[names.index(name)] = value
        return weights

    def _head(self, index: int, pose: Pose | None) -> Placement:
        chosen, at = (self.pose, index) if pose is None else (pose, 0)
        return Placement(chosen.rotation[at], chosen.translation[at])

    def _body(self, index: int) -> Placement:
        return Placement(self._torso.rotation[index], self._torso.translation[index])

    def _surroundings(self, camera: Camera) -> tuple[LightTable, Float[np.ndarray, "height width 3"]]:
        key = (camera.focal_px, camera.center_px, camera.size_px, camera.world_from_camera.tobytes())
        if getattr(self, "_seen_from", None) != key:
            self._seen_from = key
            self._seen = (light_table(self._lamps, camera), self._wall.picture(camera))
        return self._seen

    def _torso_motion(
        self, angles: Float[np.ndarray, "frames 3"], offset: Float[np.ndarray, "frames 3"], acting: np.random.Generator
    ) -> Pose:
        fps, amount = self.config.fps, self.config.motion
        sway = np.stack([amount * np.radians(0.5) * wander(self.frames, fps, 3.0, acting) for _ in range(3)], -1)
        rotation = rotation_from_angles(*(0.12 * angles + sway).T)
        breath = 0.06 * amount * np.sin(2 * np.pi * 0.27 * np.arange(self.frames) / fps + acting.uniform(0, 6))
        moved = 0.5 * offset + np.stack([np.zeros(self.frames), breath, np.zeros(self.frames)], -1)
        pivot = np.array([0.0, -30.0, 0.0])
        return Pose(rotation, _STAND_CM + moved + pivot - rotation @ pivot)

    def _acting(
        self, times: Float[np.ndarray, " frames"], loud: Float[np.ndarray, " frames"], acting: np.random.Generator
    ) -> Float[np.ndarray, "frames expression"]:
        fps, names = self.config.fps, self.figure.model.expression_names
        weights = np.zeros((self.frames, len(names)))

        def add(name: str, value: Float[np.ndarray, " frames"]) -> None:
            if name in names:
                weights[:, names.index(name)] += value

        for name, value in mouth_weights(mouth_track(self.phonemes, times, acting)).items():
            add(name, value)
        mood = self.config.emotion_strength * (1 + 0.15 * wander(self.frames, fps, 3.0, acting)).clip(0.5, 1.4)
        for name, strength in emotion_weights(self.config.emotion).items():
            add(name, strength * mood)
        raised = brow_beats(loud, fps, acting)
        for side in "LR":
            add(f"browInnerUp_{side}", 0.7 * raised)
            add(f"browOuterUp_{side}", raised)
            add(f"eyeLookDown_{side}", 0.8 * (-self.gaze[:, 1]).clip(0))
            add(f"eyeLookUp_{side}", 0.8 * self.gaze[:, 1].clip(0))
        add("jawLeft", 0.04 * wander(self.frames, fps, 1.0, acting).clip(0))
        add("mouthLeft", 0.05 * wander(self.frames, fps, 1.5, acting).clip(0))
        weights = weights.clip(0, 1)
        for eye, column in enumerate(self.figure.blink_columns):
            weights[:, column] = self.figure.blink_weight(self.closure[:, eye], eye)
        return weights


@lru_cache(maxsize=4)
def _person(head: str, who: int) -> tuple[Float[np.ndarray, " modes"], Figure, tuple[Lamp, ...], Backdrop]:
    """A person in a room; kept, because painting one takes seconds."""
    generator = np.random.default_rng([17, who])
    anatomy = _anatomy(head)
    identity = identity_of(anatomy.model, generator)
    figure = Figure(anatomy, identity, look_of(generator), generator)
    return identity, figure, studio(generator), backdrop(_STAND_CM - np.array([0, 0, 85.0]), generator)


@lru_cache(maxsize=2)
def _anatomy(head: str) -> Anatomy:
    if head == "ict" or (head == "auto" and assets.find("ict") is not None):
        return ict_anatomy()
    return builtin_anatomy()


__all__ = ["TORSO", "Picture", "SpeakerConfig", "SyntheticSpeaker"]
