"""How fit a clip is for training: the numbers, and a plain verdict on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from talkface.audio import mouth
from talkface.audio.sync import IN_STEP_FRAMES
from talkface.face.eyes import blink_events
from talkface.geometry import angles_from_rotation
from talkface.io.store import PersonWriter
from talkface.io.video import VideoInfo
from talkface.types import Track

_FOREHEAD, _CHIN = 10, 152
_LOOKED_AT = 24
_LIMITS = ("Head turns", "Blinks")


@dataclass(frozen=True)
class Verdict:
    """One judgement of the report."""

    what: str
    value: str
    level: Literal["good", "fair", "poor"]
    says: str
    needs: str
    """The thresholds, as text."""


def clip_facts(writer: PersonWriter, track: Track, clips: Sequence[VideoInfo]) -> dict[str, Any]:
    """Numbers that say what the clip offers, all plain JSON; angles in degrees, since people read them.

    Ranges are from the 5th to the 95th percentile over valid frames.
    """
    good = track.valid
    yaw, pitch, roll = np.degrees(angles_from_rotation(track.pose.rotation[good])).T
    landmarks = track.landmarks[good]
    opening = mouth.opening(landmarks) / mouth.eye_distance(landmarks)
    face_px = np.linalg.norm(track.points_px[good, _FOREHEAD, :2] - track.points_px[good, _CHIN, :2], axis=-1)
    closure = np.where(good, np.nan_to_num(track.closure.mean(1)), 0.0)
    minutes = good.sum() / track.fps / 60
    known = np.flatnonzero(good)
    looked_at = known[np.linspace(0, len(known) - 1, min(_LOOKED_AT, len(known))).astype(int)]
    noise = [image_noise(writer.frame(int(index)).mean(-1)) for index in looked_at]
    return {
        "seconds": _plain(len(track) / track.fps, 2),
        "valid_seconds": _plain(good.sum() / track.fps, 2),
        "bad_frames": dict(Counter(reason for reason in track.reason if reason)),
        "source_fps": _plain(np.mean([clip.fps for clip in clips]), 3),
        "variable_rate": any(clip.variable_rate for clip in clips),
        "audio_offset_s": _plain(max((clip.audio_offset_s for clip in clips), key=abs), 4),
        "face_px": _plain(np.median(face_px), 1),
        "focal_px": _plain(track.camera.focal_px, 1),
        "yaw_deg": _ends(yaw),
        "pitch_deg": _ends(pitch),
        "roll_deg": _ends(roll),
        "mouth_opening": _ends(opening, 4),
        "blinks": len(blink_events(closure, track.fps)),
        "blinks_per_minute": _plain(len(blink_events(closure, track.fps)) / max(minutes, 1e-6), 1),
        "residual": _plain(np.nanmedian(track.residual[good]), 5),
        "noise": _plain(np.median(noise), 2),
        "face_model": track.face_model,
    }


def verdicts(facts: dict[str, Any]) -> list[Verdict]:
    """The judgements, in the order of their weight."""
    seconds, share = facts["valid_seconds"], facts["valid_seconds"] / max(facts["seconds"], 1e-6)
    yaw = facts["yaw_deg"][1] - facts["yaw_deg"][0]
    travel = facts["mouth_opening"][1] - facts["mouth_opening"][0]
    return [
        _judge(
            "Length", f"{seconds:.0f} s of usable face", seconds, 60, 20, "60 s, better 3 min; at least 20 s",
            "Enough for mouth, eyes and head.",
            "Works, but rare sounds and poses will be guessed; a minute or more is better.",
            "Too little to learn how this mouth moves; expect a stiff or blurred one.",
        ),
        _judge(
            "Face size", f"{facts['face_px']:.0f} px from forehead to chin", facts["face_px"], 200, 110,
            "200 px; at least 110 px",
            "Enough detail for results at 256 px and more.",
            "Fine for results at 128 to 256 px; film closer for more.",
            "Small: teeth and lids will be blurred; film closer or crop a larger original.",
        ),
        _sync(facts["sync"]),
        _judge(
            "Usable frames", f"{100 * share:.1f} %", share, 0.97, 0.85, "97 %; at least 85 %",
            "The face was followed nearly everywhere.",
            "Some gaps; they are skipped in training.",
            "Many gaps; see below which frames and why.",
        ),
        _judge(
            "Mouth range", f"{travel:.3f} of the eyes' distance", travel, 0.08, 0.04, "0.08; at least 0.04",
            "The mouth opens and shuts well.",
            "A quiet speaker: wide-open mouths will be guessed.",
            "The mouth hardly moves; there is little speech to learn from.",
        ),
        _judge(
            "Head turns", f"{yaw:.0f}° from side to side", yaw, 15, 6, "15°; at least 6°",
            f"New views to about {yaw / 2 + 10:.0f}° to either side should hold.",
            "Little turning: keep new views within about 10°.",
            "The head is nearly still: other views of it will be guesses.",
        ),
        _judge(
            "Blinks", f"{facts['blinks']} ({facts['blinks_per_minute']:.0f} a minute)", facts["blinks"], 5, 2,
            "5; at least 2",
            "Enough shut eyes to learn from.",
            "Few blinks: shut eyes may look soft.",
            "No shut eyes to learn from; blinking will be poor.",
        ),
        _judge(
            "Picture noise", f"{facts['noise']:.1f} of 255", -facts["noise"], -3, -7, "at most 3; no more than 7",
            "Clean picture.",
            "Some grain; it will be smoothed away.",
            "Very grainy: use more light.",
        ),
        _judge(
            "Tracking", f"{100 * facts['residual']:.2f} % of the eyes' distance", -facts["residual"], -0.011, -0.016,
            "at most 1.1 %; no more than 1.6 %",
            "The face model sits on the face.",
            "A looser fit than usual; look at the stills below.",
            "The fit is poor; look at the stills below before training.",
        ),
    ]  # fmt: skip


def overall(judged: Sequence[Verdict]) -> tuple[str, str]:
    """Level and one sentence for the clip as a whole. Few turns or blinks limit what can be rendered, not training."""
    poor = [v.what.lower() for v in judged if v.level == "poor" and v.what not in _LIMITS]
    fair = [v.what.lower() for v in judged if v.level != "good" and v.what.lower() not in poor]
    if poor:
        return "poor", f"Usable with care: {_and(poor)} {'is' if len(poor) == 1 else 'are'} below what training needs."
    if fair:
        return "fair", f"Fit for training; {_and(fair)} could be better."
    return "good", "Fit for training in every respect measured here."


def image_noise(grey: Float[np.ndarray, "height width"]) -> float:
    """Standard deviation of the grain, in the picture's own units (Immerkaer 1996, with the median against edges)."""
    centre = 4 * grey[1:-1, 1:-1]
    cross = 2 * (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:])
    corners = grey[:-2, :-2] + grey[:-2, 2:] + grey[2:, :-2] + grey[2:, 2:]
    return float(np.median(np.abs(centre - cross + corners)) / 0.6745 / 6)


def _judge(
    what: str,
    value: str,
    number: float,
    good_from: float,
    fair_from: float,
    needs: str,
    good: str,
    fair: str,
    poor: str,
) -> Verdict:
    level: Literal["good", "fair", "poor"] = (
        "good" if number >= good_from else "fair" if number >= fair_from else "poor"
    )
    return Verdict(what, value, level, {"good": good, "fair": fair, "poor": poor}[level], needs)


def _sync(sync: dict[str, Any]) -> Verdict:
    first, last = IN_STEP_FRAMES
    needs = f"r 0.45 and a lag of {first:+d} to {last:+d} frames"
    if sync["r"] is None:
        return Verdict("Sound and lips", "not measured", "fair", f"Could not be judged: {sync['why']}.", needs)
    value = f"r {sync['r']:.2f}, lag {sync['lag_frames']:+d} frames"
    moved = f" (the sound was moved by {1000 * sync['moved_s']:.0f} ms)" if sync["moved_s"] else ""
    late = "late" if sync["lag_frames"] > 0 else "early"
    if not sync["sure"]:
        says = "Too little or too noisy speech to be sure of the lag; check by eye that the lips fit the words."
        return Verdict("Sound and lips", value, "fair", says, needs)
    if not first <= sync["lag_frames"] <= last:
        by_ms = 40 * abs(sync["lag_frames"])
        says = f"The sound is about {by_ms} ms {late}: run again with --fix-sync, or the mouth will be wrong."
        return Verdict("Sound and lips", value, "poor", says, needs)
    return Verdict("Sound and lips", value, "good", f"Sound and lips are in step{moved}.", needs)


def _ends(values: np.ndarray, digits: int = 1) -> list[float]:
    return [_plain(end, digits) for end in np.percentile(values, (5, 95))]


def _plain(value: Any, digits: int) -> float:
    return round(float(value), digits)


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
