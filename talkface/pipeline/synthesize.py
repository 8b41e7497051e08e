"""`talkface synthesize`: drawn speakers with exact ground truth, one or many.

A folder gets `clip.mp4` (with sound), `truth.npz` and, where asked for, `processed/`: the same processed folder that
`preprocess` would make, filled with the truth instead of with estimates.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from talkface.data.synthetic.articulation import emotion_weights
from talkface.data.synthetic.speaker import SpeakerConfig, SyntheticSpeaker
from talkface.data.synthetic.voice import VOICES
from talkface.errors import UserError
from talkface.face.eyes import write_openface
from talkface.io.image import write_image
from talkface.io.manifest import Manifest, split_frames
from talkface.io.provenance import mark
from talkface.io.store import PersonWriter
from talkface.io.whole import write_whole
from talkface.io.writer import VideoWriter
from talkface.progress import Progress
from talkface.types import Pose


@dataclass(frozen=True, kw_only=True)
class Synthesize:
    """What to draw."""

    seconds: float = 20.0
    """Length of each clip."""
    size: int = 256
    """Side of the square picture, px."""
    seed: int = 0
    """Of speech, motion and person; the same seed gives the same clip."""
    identity: int | None = None
    """Which person; by default the seed's."""
    emotion: str = "neutral"
    """neutral, happy, sad, angry, surprised, fearful, disgusted or contempt."""
    voice: str | None = None
    """alto, baritone, soprano, tenor, bass or mezzo; by default one that goes with the person."""
    text: str | None = None
    """What to say (needs espeak-ng); by default sentences at random."""
    recorded: bool = False
    """Use the speech that ships even where espeak-ng is installed: the same sound on every machine."""
    head: str = "auto"
    """ict (the user's face model), builtin, or auto."""
    processed: bool = False
    """Also write a processed folder with the exact truth, ready for training."""
    people: int = 1
    """More than one: this many people, each in a folder of its own, with seeds that follow `seed`."""
    emotions: tuple[str, ...] = ()
    """Several: one clip per person and emotion."""


def synthesize(out: Path, options: Synthesize | None = None) -> dict[str, Any]:
    """Draw speakers into `out`.

    Returns:
        The clips: `{"clips": [{"clip", "truth", "processed"?, "seed", "emotion", "frames"}, ...]}`.

    Raises:
        UserError: an option is out of range or the folder cannot be written.
    """
    wanted = options or Synthesize()
    if wanted.people < 1:
        raise UserError(f"--people must be at least 1, not {wanted.people}")
    emotions = wanted.emotions or (wanted.emotion,)
    for emotion in emotions:
        emotion_weights(emotion)
    jobs = [
        (wanted.seed + person, emotion, out / f"person_{person:03d}_{emotion}")
        for person, emotion in product(range(wanted.people), emotions)
    ]
    if len(jobs) == 1:
        jobs = [(wanted.seed, emotions[0], out)]
    configs = [(_config(wanted, seed, emotion), folder) for seed, emotion, folder in jobs]
    return {"clips": [_one(config, folder, wanted.processed) for config, folder in configs]}


def speech_sample() -> Path:
    """The short recording that ships, in another voice and with other words than any drawn speaker's."""
    from talkface.data import synthetic

    return Path(synthetic.__file__).parent / "speech_sample.wav"


def drawn_again(truth: Path) -> SyntheticSpeaker:
    """The speaker of a `truth.npz`, to be drawn from other viewpoints.

    Raises:
        UserError: no such file, or it does not name its speaker, or they are drawn otherwise here.
    """
    try:
        with np.load(truth, allow_pickle=False) as kept:
            config = SpeakerConfig(**json.loads(str(kept["speaker"])))
            rotation, translation, identity = (kept[name] for name in ("rotation", "translation", "identity"))
            acted = {name: kept[name] for name in ("expression", "closure", "gaze")}
    except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise UserError(f"{truth} does not say which speaker it is of; draw one with `talkface synthesize`") from error
    speaker = SyntheticSpeaker(config)
    same = identity.shape == speaker.identity.shape and rotation.shape == speaker.pose.rotation.shape
    if (
        not same
        or np.abs(rotation - speaker.pose.rotation).max() > _SAME_SPEECH
        or np.abs(identity - speaker.identity).max() > 1e-3
    ):
        raise UserError(f"{truth} was drawn with another face model or voice than are here; draw the speaker again")
    speaker.pose = Pose(rotation, translation)
    for name, values in acted.items():
        setattr(speaker, name, values)
    return speaker


_SAME_SPEECH = 1e-3
"""Head turns (entries of matrices) that differ by less come of the same speech: espeak-ng's breath and phase go on from
what the process said before, and the head moves a little with loudness."""


def _config(wanted: Synthesize, seed: int, emotion: str) -> SpeakerConfig:
    voice = wanted.voice or tuple(VOICES)[(seed if wanted.identity is None else wanted.identity) % len(VOICES)]
    return SpeakerConfig(
        seed=seed,
        identity=wanted.identity,
        emotion=emotion,
        size_px=wanted.size,
        seconds=wanted.seconds,
        voice=voice,
        text=wanted.text,
        recorded=wanted.recorded,
        head=wanted.head,
    )


def _one(config: SpeakerConfig, folder: Path, processed: bool) -> dict[str, Any]:
    speaker = SyntheticSpeaker(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {(error.strerror or '').lower()}") from error
    writer = PersonWriter(folder / "processed") if processed else None
    size = (config.size_px, config.size_px)
    with (
        VideoWriter(folder / "clip.mp4", size, config.fps, speech=speaker.speech, metadata=mark("synthesize")) as video,
        Progress("drawing", total=speaker.frames) as progress,
    ):
        for index in range(speaker.frames):
            picture = speaker.frame(index)
            colour = _bytes(picture.colour)
            video.write(colour)
            if writer:
                writer.put_frame(index, colour)
                writer.put_matte(index, _bytes(picture.alpha))
                writer.put_labels(index, picture.labels)
                writer.put_torso(index, _bytes(speaker.torso(index)))
            progress.advance()
    write_image(folder / "background.png", _bytes(speaker.background()))
    write_whole(folder / "truth.npz", lambda file: np.savez_compressed(file, allow_pickle=False, **_truth(speaker)))
    result: dict[str, Any] = {
        "clip": str(folder / "clip.mp4"),
        "truth": str(folder / "truth.npz"),
        "seed": config.seed,
        "emotion": config.emotion,
        "frames": speaker.frames,
    }
    if writer:
        _finish(writer, speaker)
        result["processed"] = str(writer.root)
    return result


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.round(picture * 255).clip(0, 255).astype(np.uint8)


def _truth(speaker: SyntheticSpeaker) -> dict[str, np.ndarray]:
    """Everything known of a clip, as plain arrays; names as in `types.Track`."""
    track = speaker.track
    inner = track.landmarks[:, [61, 62, 63]] - track.landmarks[:, [67, 66, 65]]
    return {
        "speaker": np.array(json.dumps(asdict(speaker.config))),
        "fps": np.array(track.fps),
        "focal_px": np.array(track.camera.focal_px),
        "center_px": np.array(track.camera.center_px),
        "size_px": np.array(track.camera.size_px),
        "world_from_camera": track.camera.world_from_camera,
        "rotation": track.pose.rotation,
        "translation": track.pose.translation,
        "landmarks": track.landmarks,
        "landmarks_px": track.landmarks_px,
        "closure": track.closure,
        "gaze": track.gaze,
        "mouth_opening": np.linalg.norm(inner, axis=-1).mean(-1),
        "identity": track.identity,
        "expression": track.expression,
        "expression_names": np.array(track.expression_names),
        "face_model": np.array(track.face_model),
        "phoneme_start_s": np.array([p.start_s for p in speaker.phonemes]),
        "phoneme_end_s": np.array([p.end_s for p in speaker.phonemes]),
        "phoneme": np.array([p.symbol for p in speaker.phonemes]),
    }


def _finish(writer: PersonWriter, speaker: SyntheticSpeaker) -> None:
    config = speaker.config
    size = (config.size_px, config.size_px)
    writer.put_background(_bytes(speaker.background()), np.zeros(size, bool))
    writer.put_speech(speaker.speech)
    writer.put_track(speaker.track)
    write_openface(writer.root / "au.csv", speaker.closure.mean(1), config.fps)
    clips = ((0, speaker.frames),)
    truth = "exact truth of a drawn speaker"
    writer.finish(
        Manifest(
            fps=config.fps,
            size_px=size,
            frames=speaker.frames,
            clips=clips,
            split=split_frames(speaker.frames, clips),
            providers=dict.fromkeys(("landmarks", "pose", "closure", "labels", "torso", "background"), truth),
            source="clip.mp4",
            facts={"seed": config.seed, "emotion": config.emotion, "voice": config.voice},
        )
    )
