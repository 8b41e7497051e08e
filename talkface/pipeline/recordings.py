"""What is to be preprocessed: one video or a folder of clips of one person, checked before any work is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talkface.errors import UserError
from talkface.io.provenance import file_sha256
from talkface.io.sound import is_silent, read_speech
from talkface.io.video import VideoInfo, probe
from talkface.types import FPS, SPEECH_HZ, Speech

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".3gp", ".flv", ".ogv"}
)
"""Files of a folder that are taken for clips; all others (transcripts, alignments) are passed over."""
LEAST_S = 2.0
"""Shortest recording that is worked on (our choice: below, there is neither a blink nor a word to learn)."""
MOST_S = 3600.0
"""Longest: an hour of frames at 512 px is about 40 GB (our choice)."""
MAX_SIDE_PX = 1920
"""Frames with a longer side are shrunk to this: the face in them stays larger than any method renders (our choice)."""
SAMPLES_PER_FRAME = int(SPEECH_HZ / FPS)


@dataclass(frozen=True)
class Recordings:
    """The clips in the order in which their frames are counted."""

    source: str
    clips: tuple[VideoInfo, ...]

    def fingerprint(self) -> str:
        """The same for the same files with the same content."""
        return " ".join(f"{clip.path.name}:{file_sha256(clip.path)}" for clip in self.clips)


def find_recordings(video: Path) -> Recordings:
    """Look at a video, or at every clip of a folder (in order of name).

    Raises:
        UserError: nothing there, not video, no sound, too short or too long, or clips of different sizes.
    """
    if not video.exists():
        raise UserError(f"{video} does not exist; give a video or a folder of clips")
    paths = [video]
    if video.is_dir():
        if (video / "manifest.json").is_file():
            raise UserError(f"{video} is a processed folder already; give the video it was made from")
        paths = sorted(path for path in video.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
        paths = [path for path in paths if not path.name.startswith(".")]
        if not paths:
            raise UserError(f"{video} holds no video; put clips of one person into it ({', '.join(sorted(SUFFIXES))})")
    clips = tuple(probe(path) for path in paths)
    for clip in clips:
        if not clip.has_audio:
            raise UserError(f"{clip.path} has no audio track; a talking person with sound is needed")
        if clip.size_px != clips[0].size_px:
            raise UserError(
                f"{clip.path} is {clip.size_px[1]}x{clip.size_px[0]} but {clips[0].path} is "
                f"{clips[0].size_px[1]}x{clips[0].size_px[0]}; clips of one folder must have one size"
            )
    frames, duration_s = sum(clip.frames for clip in clips), sum(clip.duration_s for clip in clips)
    if frames < 2:
        raise UserError(f"{video} holds one frame; a video of at least {LEAST_S:g} s is needed, better a minute")
    if duration_s < LEAST_S:
        raise UserError(f"{video} lasts {duration_s:.1f} s; at least {LEAST_S:g} s are needed, better a minute")
    if duration_s > MOST_S:
        raise UserError(f"{video} lasts {duration_s / 60:.0f} min; cut it to at most {MOST_S / 60:.0f} min")
    return Recordings(video.name or str(video.resolve().name), clips)


def read_sound(recordings: Recordings) -> list[Speech]:
    """Each clip's speech on the clock of its first frame.

    Raises:
        UserError: there is no sound in a clip, or it is all silent.
    """
    speeches = [read_speech(clip.path) for clip in recordings.clips]
    if all(is_silent(speech) for speech in speeches):
        raise UserError(f"{recordings.source} is silent; a talking person with sound is needed")
    return speeches


def joined_speech(speeches: list[Speech], ranges: list[tuple[int, int]], shift_s: float = 0.0) -> Speech:
    """The sound of all frames: each clip's, moved earlier by `shift_s`, cut or filled to its frames."""
    parts = []
    for speech, (start, stop) in zip(speeches, ranges, strict=True):
        shift = round(shift_s * SPEECH_HZ)
        moved = speech.waveform[shift:] if shift >= 0 else np.pad(speech.waveform, (-shift, 0))
        samples = (stop - start) * SAMPLES_PER_FRAME
        parts.append(np.pad(moved[:samples], (0, max(0, samples - len(moved)))))
    return Speech(np.concatenate(parts).astype(np.float32))
