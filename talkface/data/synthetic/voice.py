"""Speech with exact phoneme timings: synthesised by espeak-ng where it is installed, else cut from a file that ships.

The shipped recording (`speech.wav`, `speech.json`) and the driving sample (`speech_sample.wav`, `speech_sample.json`)
are sentences of ours, spoken by espeak-ng's formant synthesiser (`python -m talkface.data.synthetic.record`).
"""

from __future__ import annotations

import ctypes
import json
import wave
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.signal import resample_poly

from talkface.data.synthetic.sentences import sentence
from talkface.errors import UserError
from talkface.types import SPEECH_HZ, Speech

HELD_OUT = 1 / 11
"""The last part of any speech made from the shipped recording uses sentences that its first part does not."""


@dataclass(frozen=True)
class Phoneme:
    """One speech sound in espeak's notation with stress marks; "_" is a pause."""

    start_s: float
    end_s: float
    symbol: str


@dataclass(frozen=True)
class Utterance:
    """What is said and when; phonemes follow each other without gaps."""

    speech: Speech
    phonemes: tuple[Phoneme, ...]


@dataclass(frozen=True)
class Voice:
    """A way of speaking: espeak's voice, pitch 0-99, words a minute, and how far a recording is sped up for it."""

    espeak: str
    pitch: int
    words_per_minute: int
    speed: float


VOICES: dict[str, Voice] = {
    "alto": Voice("en-us+f3", 55, 160, 1.0),
    "baritone": Voice("en-us+m3", 38, 155, 0.88),
    "soprano": Voice("en+f4", 68, 168, 1.12),
    "tenor": Voice("en+m7", 52, 172, 0.94),
    "bass": Voice("en-us+m1", 24, 145, 0.84),
    "mezzo": Voice("en-gb-scotland+f2", 58, 158, 1.06),
}


def speak(
    seconds: float,
    voice: str,
    generator: np.random.Generator,
    text: str | None = None,
    recorded: bool = False,
) -> Utterance:
    """Speech of exactly this length.

    Args:
        seconds: length; speech is cut off or followed by silence.
        voice: one of `VOICES`.
        generator: chooses the sentences and pauses.
        text: what to say; without it sentences of ours at random. Needs espeak-ng.
        recorded: use the shipped recording even where espeak-ng is installed.

    Raises:
        UserError: unknown voice, or a text where espeak-ng is absent.
    """
    if voice not in VOICES:
        raise UserError(f"no voice is called {voice!r}; there are {', '.join(VOICES)}")
    if recorded or not installed():
        if text is not None:
            raise UserError("saying a given text needs espeak-ng: pip install 'talkface[speech]'")
        pieces = _from_recording(seconds, VOICES[voice], generator)
    elif text is not None:
        pieces = [synthesise(text, VOICES[voice])]
    else:
        pieces, total = [], 0.0
        while total < seconds:
            pieces.append(synthesise(sentence(generator), VOICES[voice]))
            total += pieces[-1].speech.duration_s
    return _fit(join(pieces, generator), seconds)


def installed() -> bool:
    """Whether espeak-ng can be used."""
    return find_spec("espeakng_loader") is not None


def join(pieces: list[Utterance], generator: np.random.Generator) -> Utterance:
    """Utterances one after the other with pauses of 0.15 to 0.6 s."""
    waves: list[np.ndarray] = []
    phonemes: list[Phoneme] = []
    at = 0
    for piece in pieces:
        pause = int(generator.uniform(0.15, 0.6) * SPEECH_HZ)
        begin = at / SPEECH_HZ
        phonemes.append(Phoneme(begin, begin + pause / SPEECH_HZ, "_"))
        at += pause
        begin = at / SPEECH_HZ
        phonemes += [Phoneme(begin + p.start_s, begin + p.end_s, p.symbol) for p in piece.phonemes]
        waves += [np.zeros(pause, np.float32), piece.speech.waveform]
        at += len(piece.speech.waveform)
    return Utterance(Speech(np.concatenate(waves)), tuple(phonemes))


def load(name: str) -> tuple[Utterance, list[float]]:
    """A shipped recording, "speech" or "speech_sample", and the times at which its sentences begin."""
    folder = Path(__file__).parent
    with wave.open(str(folder / f"{name}.wav"), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    notes = json.loads((folder / f"{name}.json").read_text())
    phonemes = tuple(Phoneme(start, end, symbol) for start, end, symbol in notes["phonemes"])
    return Utterance(Speech(samples), phonemes), notes["sentence_starts_s"]


def cut(utterance: Utterance, start_s: float, end_s: float) -> Utterance:
    """A stretch of an utterance on its own clock."""
    first, last = round(start_s * SPEECH_HZ), round(end_s * SPEECH_HZ)
    kept = [p for p in utterance.phonemes if p.end_s > start_s and p.start_s < end_s]
    moved = tuple(Phoneme(max(p.start_s, start_s) - start_s, min(p.end_s, end_s) - start_s, p.symbol) for p in kept)
    return Utterance(Speech(utterance.speech.waveform[first:last]), moved)


def synthesise(text: str, voice: Voice) -> Utterance:
    """One text spoken by espeak-ng."""
    engine = _Espeak.shared()
    waveform, rate, events = engine.say(text, voice)
    samples = resample_poly(0.85 / 32768 * waveform, SPEECH_HZ, rate).astype(np.float32)  # room for overshoot
    end = len(samples) / SPEECH_HZ
    times = [min(t, end) for t, _ in events] + [end]
    phonemes = [Phoneme(0.0, times[0], "_")] + [
        Phoneme(times[i], times[i + 1], symbol) for i, (_, symbol) in enumerate(events)
    ]
    return Utterance(Speech(samples), tuple(p for p in phonemes if p.end_s > p.start_s))


def _from_recording(seconds: float, voice: Voice, generator: np.random.Generator) -> list[Utterance]:
    whole, starts = load("speech")
    bounds = [*starts, whole.speech.duration_s]
    sentences = [_at_speed(cut(whole, a, b), voice.speed) for a, b in pairwise(bounds)]
    order = generator.permutation(len(sentences))
    held, seen = order[:2], order[2:]
    pieces: list[Utterance] = []
    total = 0.0
    queue: list[int] = []
    while total < seconds:
        pool = held if total >= seconds * (1 - HELD_OUT) else seen
        queue = [i for i in queue if i in pool] or list(generator.permutation(pool))
        pieces.append(sentences[queue.pop()])
        total += pieces[-1].speech.duration_s + 0.375
    return pieces


def _at_speed(utterance: Utterance, speed: float) -> Utterance:
    """Played faster: rate and pitch change together, as on a tape."""
    waveform = resample_poly(utterance.speech.waveform, 100, round(100 * speed)).astype(np.float32)
    factor = 100 / round(100 * speed)
    return Utterance(
        Speech(waveform),
        tuple(Phoneme(p.start_s * factor, p.end_s * factor, p.symbol) for p in utterance.phonemes),
    )


def _fit(utterance: Utterance, seconds: float) -> Utterance:
    wanted = round(seconds * SPEECH_HZ)
    missing = wanted - len(utterance.speech.waveform)
    if missing > 0:
        end = utterance.speech.duration_s
        silence = Phoneme(end, seconds, "_")
        return Utterance(Speech(np.pad(utterance.speech.waveform, (0, missing))), (*utterance.phonemes, silence))
    return cut(utterance, 0.0, wanted / SPEECH_HZ)


class _Identity(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """`espeak_EVENT` of espeak-ng's speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_SYNCHRONOUS, _PHONEME_EVENTS, _EVENT_END, _EVENT_PHONEME = 2, 1, 0, 7
_RATE, _PITCH, _POSITION_CHARACTER, _UTF8 = 1, 3, 1, 1


class _Espeak:
    """libespeak-ng in this process; it keeps global state, so there is one."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path()).encode()
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS)
        if self._rate <= 0:
            raise UserError("espeak-ng did not start; reinstall it with: pip install --force-reinstall espeakng-loader")
        self._waves: list[np.ndarray] = []
        self._events: list[tuple[float, str]] = []
        self._callback = _CALLBACK(self._receive)  # must outlive the library's use of it
        self._library.espeak_SetSynthCallback(self._callback)

    @staticmethod
    @lru_cache(maxsize=1)
    def shared() -> _Espeak:
        return _Espeak()

    def say(self, text: str, voice: Voice) -> tuple[Float[np.ndarray, " samples"], int, list[tuple[float, str]]]:
        self._waves, self._events = [], []
        if self._library.espeak_SetVoiceByName(voice.espeak.encode()) != 0:
            raise UserError(f"this espeak-ng has no voice {voice.espeak!r}")
        self._library.espeak_SetParameter(_RATE, voice.words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, voice.pitch, 0)
        spoken = text.encode()
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # breath is noise; without it no two runs sound alike
        self._library.espeak_Synth(spoken, len(spoken) + 1, 0, _POSITION_CHARACTER, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if not self._waves:
            raise UserError("espeak-ng said nothing for this text; give it words")
        return np.concatenate(self._waves).astype(np.float32), self._rate, self._events

    def _receive(self, samples: ctypes._Pointer, count: int, events: ctypes._Pointer) -> int:
        if samples and count > 0:
            self._waves.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            if events[index].type == _EVENT_PHONEME:
                symbol = events[index].id.string.decode("utf-8", "replace")
                self._events.append((events[index].audio_position / 1000, symbol))
            index += 1
        return 0
