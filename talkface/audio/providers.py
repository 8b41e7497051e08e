"""Speech features by name, one window per video frame, as the methods' audio networks want them.

`mel29` needs nothing and stands in for DeepSpeech with windows of the same shape; recognisers' features come from
files that the user makes or weights that the user brings (design page nerf-methods, sections 0.4 and 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from talkface.audio.features import MEL, MelSpec, log_mel, normalisation_of, windows
from talkface.errors import UserError
from talkface.types import FPS, SPEECH_HZ, Speech


@dataclass(frozen=True)
class Provider:
    """One kind of speech feature."""

    name: str
    shape: tuple[int, int] | None
    """Window (rows, bands); None where the file or the weights decide the bands."""
    gives: str


PROVIDERS: tuple[Provider, ...] = (
    Provider("mel", (16, 80), "normalised log-mel, 80 bands at 100 Hz, 160 ms about the frame"),
    Provider(
        "mel29", (16, 29), "normalised log-mel, 29 bands at 50 Hz, 320 ms: DeepSpeech's shape without its network"
    ),
    Provider("wav2lip", (16, 80), "Wav2Lip's mel, 80 bands at 80 Hz; the window starts at the frame"),
    Provider("wav2lip_centred", (16, 80), "Wav2Lip's mel from two frames before, as SadTalker cuts it"),
    Provider("deepspeech", (16, 29), "DeepSpeech logits that you made: a .npy of shape (frames, 16, 29)"),
    Provider("wav2vec2", None, "wav2vec 2.0 states at 50 Hz, from a folder of weights that you bring"),
    Provider("hubert", None, "HuBERT states at 50 Hz, from a folder of weights that you bring"),
)

MEL29 = MelSpec(rate_hz=50, window=640, fft=1024, bands=29)
"""Our choice: a 40 ms window, so that rows 20 ms apart leave nothing out."""
WAV2LIP = MelSpec(rate_hz=80, window=800, fft=800, low_hz=55.0, scale="decibel")


def speech_windows(
    name: str, speech: Speech, frames: int, source: Path | None = None
) -> Float[np.ndarray, "frames rows bands"]:
    """The windows of provider `name` for `frames` video frames at 25 fps, float32.

    `source` is the `.npy` file of `deepspeech`, or the folder of weights of `wav2vec2` and `hubert`.

    Raises:
        UserError: no such provider, or what it needs is absent or of another shape.
    """
    if name == "mel":
        mel = log_mel(speech)
        return windows(normalisation_of(mel).apply(mel), frames, 16)
    if name == "mel29":
        mel = log_mel(speech, MEL29)
        return windows(normalisation_of(mel).apply(mel), frames, 16, float(MEL29.rate_hz))
    if name in ("wav2lip", "wav2lip_centred"):
        return _wav2lip(speech, frames, first=-2 if name == "wav2lip_centred" else 0)
    if name == "deepspeech":
        return _deepspeech(source, frames)
    if name in ("wav2vec2", "hubert"):
        return windows(_transformer(name, speech, source), frames, 16, 50.0)
    raise UserError(f"no speech feature is called {name!r}; there are {', '.join(p.name for p in PROVIDERS)}")


def _wav2lip(speech: Speech, frames: int, first: int) -> np.ndarray:
    mel = log_mel(speech, WAV2LIP)
    starts = np.trunc(WAV2LIP.rate_hz * (np.arange(frames) + first) / FPS).astype(np.int64)
    rows = np.clip(starts[:, None] + np.arange(16), 0, max(len(mel) - 1, 0))
    return mel[rows] if len(mel) else np.full((frames, 16, MEL.bands), -4, np.float32)


def _deepspeech(source: Path | None, frames: int) -> np.ndarray:
    if source is None or not source.is_file():
        raise UserError(
            "deepspeech features are not computed here: give a .npy file of shape (frames, 16, 29) that you made with "
            "DeepSpeech 0.1.0, or choose mel29, which needs nothing"
        )
    try:
        values = np.load(source, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{source} is not a plain .npy file of numbers: {error}") from None
    if values.ndim != 3 or values.shape[1:] != (16, 29) or len(values) < frames:
        raise UserError(f"{source} has shape {values.shape}; expected ({frames} or more, 16, 29)")
    if not np.isfinite(values[:frames]).all():
        raise UserError(f"{source} holds numbers that are not finite")
    return values[:frames].astype(np.float32)


def _transformer(name: str, speech: Speech, source: Path | None) -> np.ndarray:
    """Hidden states at 50 Hz; row j is taken at j / 50 s (the network's own centre is 12.5 ms later)."""
    if source is None or not (source / "config.json").is_file():
        raise UserError(
            f"{name} needs its weights: give a folder with config.json and model.safetensors, or choose mel29, "
            "which needs nothing"
        )
    try:
        import torch
        from transformers import AutoModel
    except ImportError:
        raise UserError(f"{name} needs the package transformers: pip install transformers") from None
    model = AutoModel.from_pretrained(source, local_files_only=True, use_safetensors=True).eval()
    if model.config.model_type != name:
        raise UserError(f"{source} holds a {model.config.model_type} network, not {name}")
    waveform = torch.from_numpy(speech.waveform.astype(np.float32))
    waveform = (waveform - waveform.mean()) / (waveform.std() + 1e-7)
    block, margin = 20 * SPEECH_HZ, SPEECH_HZ
    states = []
    with torch.inference_mode():
        for start in range(0, len(waveform), block):
            low, high = max(0, start - margin), min(len(waveform), start + block + margin)
            part = torch.nn.functional.pad(waveform[low:high], (0, 400))
            rows = model(part[None]).last_hidden_state[0]
            skip = (start - low) // 320
            states.append(rows[skip : skip + min(block, len(waveform) - start) // 320].float().numpy())
    return np.concatenate(states)
