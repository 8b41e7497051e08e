"""Makes the shipped recordings: `python -m talkface.data.synthetic.record` (needs espeak-ng)."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np

from talkface.data.synthetic.sentences import RECORDED, SAMPLE
from talkface.data.synthetic.voice import VOICES, Utterance, join, synthesise
from talkface.types import SPEECH_HZ


def record(folder: Path, name: str, voice: str, sentences: tuple[str, ...]) -> None:
    """Writes `name`.wav (mono, 16 kHz, 16 bit) and `name`.json (phonemes and sentence starts in s, texts)."""
    pieces = [synthesise(text, VOICES[voice]) for text in sentences]
    whole = join(pieces, np.random.default_rng(0))
    starts, at = [], 0.0
    for piece in pieces:
        starts.append(round(at, 4))
        at = _end_of(whole, at, piece)
    samples = np.round(whole.speech.waveform * 32767).clip(-32768, 32767).astype("<i2")
    with wave.open(str(folder / f"{name}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SPEECH_HZ)
        file.writeframes(samples.tobytes())
    notes = {
        "made_by": "espeak-ng, " + VOICES[voice].espeak,
        "texts": list(sentences),
        "sentence_starts_s": starts,
        "phonemes": [[round(p.start_s, 4), round(p.end_s, 4), p.symbol] for p in whole.phonemes],
    }
    (folder / f"{name}.json").write_text(json.dumps(notes, ensure_ascii=False) + "\n")


def _end_of(whole: Utterance, start_s: float, piece: Utterance) -> float:
    """Where a sentence that begins, with its pause, at `start_s` ends."""
    pause = next(p for p in whole.phonemes if abs(p.start_s - start_s) < 1e-3)
    return pause.end_s + piece.speech.duration_s


if __name__ == "__main__":
    here = Path(__file__).parent
    record(here, "speech", "alto", RECORDED)
    record(here, "speech_sample", "tenor", SAMPLE)
