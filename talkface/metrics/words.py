"""What the scores mean, in sentences a person reads first."""

from __future__ import annotations

from collections.abc import Sequence

from talkface.metrics.rows import Row

_FROZEN_MOUTH_R = 0.5
"""Below this correlation with the true landmarks the field ignores its condition (field-quality.md §4)."""
_TIE_DB = 0.1
_SHORT_S = 10.0
"""`mouth_r` of a shorter stretch varies by 0.1 and more between parts of one clip (lip-sync.md)."""


def summary(method: str, rows: Sequence[Row], seconds: float) -> list[tuple[str, str]]:
    """Sentences with their mood: "good", "bad" or "" for plain ones.

    The first row is the truth's. Baselines are those rows that bear another name than the method.
    """
    by_landmarks = next((r for r in rows if r.name == method and r.drive == "landmarks"), None)
    by_audio = next((r for r in rows if r.name == method and r.drive == "audio"), None)
    baselines = [r for r in rows[1:] if r.name != method and r.drive == "landmarks"]
    found = []
    if by_landmarks is not None:
        found += [_against(by_landmarks, baselines, region) for region in ("head", "mouth")]
        found += _motion(by_landmarks)
        found += _blinks(by_landmarks)
    if by_audio is not None:
        found += _speech(by_audio, rows[0], seconds)
    return [sentence for sentence in found if sentence is not None]


def _against(row: Row, baselines: Sequence[Row], region: str) -> tuple[str, str] | None:
    own = row.value("psnr_pooled", region)
    others = [(value, b.name) for b in baselines if (value := b.value("psnr_pooled", region)) is not None]
    if own is None or not others:
        return None
    best, name = max(others)
    if abs(own - best) < _TIE_DB:
        return "", f"The {region} is as near the truth as the baseline {name} ({own:.1f} dB)."
    if own > best:
        text = f"The {region} is {own - best:.1f} dB nearer the truth than the best baseline"
        return "good", f"{text} ({own:.1f} dB against {best:.1f} dB of {name})."
    text = f"The {region} is no nearer the truth than the baseline {name}"
    return "bad", f"{text}, which needs no method at all ({own:.1f} dB against {best:.1f} dB)."


def _motion(row: Row) -> list[tuple[str, str]]:
    follows, lively = row.value("opening_r", "mouth"), row.value("amplitude", "mouth")
    if follows is None:
        return [("bad", "The rendered mouth could not be measured, or never moves.")]
    if follows < _FROZEN_MOUTH_R:
        return [("bad", f"The mouth hardly follows its landmarks (r {follows:.2f}): train longer or look at it.")]
    text = f"Given the true landmarks, the mouth opens when it should (r {follows:.2f})"
    return [("", f"{text} and moves {lively:.0%} as much as the true one." if lively is not None else f"{text}.")]


def _blinks(row: Row) -> list[tuple[str, str]]:
    f1, follows = row.value("blink_f1", "eyes"), row.value("au45_r", "eyes")
    if f1 is None:
        return [("", "There was no blink to judge.")]
    text = f"Blinks come where they were commanded with F1 {f1:.2f}"
    text += f"; the lids follow the command with r {follows:.2f}." if follows is not None else "."
    return [("good" if f1 >= 0.9 else "bad" if f1 < 0.5 else "", text)]


def _speech(row: Row, truth: Row, seconds: float) -> list[tuple[str, str]]:
    follows = row.value("mouth_r", "mouth")
    if follows is None:
        found = [("bad", "From speech alone the mouth could not be measured, or never moves.")]
    else:
        short = " That is too short a stretch to hang much on." if seconds < _SHORT_S else ""
        found = [
            ("", f"From speech alone the mouth follows the true one with r {follows:.2f} over {seconds:.1f} s.{short}")
        ]
    own, true = row.value("sync_r", "mouth"), truth.value("sync_r", "mouth")
    lag = row.value("sync_lag_frames", "mouth")
    if own is not None and true is not None and lag is not None:
        found.append(
            ("", f"Speech and lips agree with r {own:.2f} at {lag:+.0f} frames; the true video: r {true:.2f}.")
        )
    return found
