"""The summary says what the numbers say."""

from __future__ import annotations

from talkface.metrics.rows import Row
from talkface.metrics.words import summary
from talkface.types import Score


def row(name: str, drive: str = "landmarks", **values: float) -> Row:
    places = {"head": ("psnr_pooled", "head"), "mouth": ("psnr_pooled", "mouth"), "blink": ("blink_f1", "eyes")}
    named = [(*places.get(key, (key, "mouth")), value) for key, value in values.items()]
    return Row(name, drive, [Score(n, v, True, 50, r) for n, r, v in named])


def moods(rows: list[Row], seconds: float = 60.0) -> dict[str, str]:
    return {text: mood for mood, text in summary("ours", rows, seconds)}


def test_better_worse_and_equal_are_told_apart() -> None:
    for head, mood, words in ((30.0, "good", "2.0 dB nearer"), (27.0, "bad", "no nearer"), (28.03, "", "as near")):
        found = moods([row("truth"), row("ours", head=head), row("pca", head=28.0), row("still", head=20.0)])
        (text,) = [text for text in found if text.startswith("The head")]
        assert words in text and "pca" in text and found[text] == mood


def test_a_mouth_that_ignores_its_landmarks_is_bad_news() -> None:
    found = moods([row("truth"), row("ours", opening_r=0.3, amplitude=0.9)])
    assert any("hardly follows" in text and mood == "bad" for text, mood in found.items())
    found = moods([row("truth"), row("ours", opening_r=0.9, amplitude=0.8)])
    assert any("r 0.90" in text and "80%" in text for text in found)


def test_a_short_stretch_is_called_short() -> None:
    rows = [row("truth", sync_r=0.6), row("ours", "audio", mouth_r=0.61, sync_r=0.5, sync_lag_frames=1.0)]
    assert any("too short" in text for text in moods(rows, 6.0))
    assert not any("too short" in text for text in moods(rows, 60.0))
    assert any("+1 frames" in text and "0.60" in text for text in moods(rows))
