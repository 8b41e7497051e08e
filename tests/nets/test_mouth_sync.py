"""Our sync network slides, ignores light, is read back, and learns timing from drawn talkers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from talkface.errors import UserError
from talkface.nets.mouth_learning import Learning, Talk, learn
from talkface.nets.mouth_sync import BANDS, CROP_PX, FRAMES, ROWS, MouthSync, facts_of, save


@pytest.fixture(scope="module")
def net() -> MouthSync:
    torch.manual_seed(0)
    return MouthSync().eval()


def crops(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 200, (frames, CROP_PX, CROP_PX)).astype(np.uint8)


def test_the_eye_slides(net: MouthSync) -> None:
    pictures = crops(14)
    whole = net.see(pictures)
    assert whole.shape == (14 - FRAMES + 1, 64)
    alone = np.concatenate([net.see(pictures[first : first + FRAMES]) for first in range(6)])
    np.testing.assert_allclose(whole, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)


def test_the_ear_hears_the_same_in_a_window_and_in_the_whole(net: MouthSync) -> None:
    mel = np.random.default_rng(1).normal(0, 1, (400, BANDS)).astype(np.float32)
    whole = net.listen(mel)
    assert whole.shape == (100, 64)
    frames = np.arange(20, 80)
    windows = np.stack([mel[4 * frame - ROWS // 2 :][:ROWS] for frame in frames])
    np.testing.assert_allclose(net.hear(windows), whole[frames], atol=1e-5)


def test_light_does_not_matter(net: MouthSync) -> None:
    pictures = crops(12)
    darker = np.rint(pictures * 0.5 + 20).astype(np.uint8)
    np.testing.assert_allclose(net.see(pictures), net.see(darker), atol=0.02)


def test_read_back_in_half_precision(net: MouthSync, tmp_path: Path) -> None:
    save(net, tmp_path / "net.safetensors", {"people": "drawn"})
    assert facts_of(tmp_path / "net.safetensors")["people"] == "drawn"
    again = MouthSync.load(tmp_path / "net.safetensors")
    np.testing.assert_allclose(again.see(crops(10)), net.see(crops(10)), atol=2e-3)
    save(again, tmp_path / "net.safetensors", {})
    np.testing.assert_array_equal(MouthSync.load(tmp_path / "net.safetensors").see(crops(10)), again.see(crops(10)))
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_what_is_no_such_network_is_refused(net: MouthSync, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a sync network"):
        MouthSync.load(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("hello there, this is not a network")
    with pytest.raises(UserError, match="not a sync network"):
        MouthSync.load(tmp_path / "text.safetensors")
    save_file(net.state_dict(), tmp_path / "bare.safetensors")
    with pytest.raises(UserError, match="format None"):
        MouthSync.load(tmp_path / "bare.safetensors")
    weights = {name: value for name, value in net.state_dict().items() if name != "ear.bias"}
    save_file(weights, tmp_path / "part.safetensors", metadata={"format": "talkface-mouth-sync-1"})
    with pytest.raises(UserError, match=r"ear\.bias missing"):
        MouthSync.load(tmp_path / "part.safetensors")


def drawn(frames: int, seed: int, person: str) -> Talk:
    """A mouth that opens with a loudness that is heard in the lower bands; faces and voices differ."""
    draw = np.random.default_rng(seed)
    loud = np.convolve(draw.normal(size=frames + 8), np.hanning(7) / 3, "valid")[:frames]
    skin, lips = draw.uniform(90, 200), draw.uniform(20, 80)
    rows, columns = np.mgrid[:CROP_PX, :CROP_PX] - CROP_PX / 2 + 0.5
    height = 2 + 4 * np.clip(loud + 1, 0, 2)
    inside = (columns / 9) ** 2 + (rows / height[:, None, None]) ** 2 < 1
    pictures = np.where(inside, lips, skin) + draw.normal(0, 6, (frames, CROP_PX, CROP_PX))
    profile = np.exp(-((np.arange(BANDS) - draw.uniform(10, 30)) ** 2) / 300)
    fine = np.interp(np.arange(4 * frames) / 4, np.arange(frames), loud)
    mel = fine[:, None] * profile + draw.normal(0, 0.3, (4 * frames, BANDS))
    return Talk(person, pictures.clip(0, 255).astype(np.uint8), mel.astype(np.float32))


LEARNING = Learning(steps=36, batch=3, windows=20)


def test_it_learns_timing_that_holds_for_another_face_and_voice() -> None:
    losses: list[float] = []
    net = learn([drawn(200, seed, str(seed)) for seed in range(4)], LEARNING, 0, lambda _, loss: losses.append(loss))
    assert np.mean(losses[-5:]) < 0.7 * np.log(LEARNING.windows) < np.mean(losses[:2])
    stranger = drawn(200, 99, "stranger")
    seen, heard = net.see(stranger.crops), net.listen(stranger.mel)
    likeness = [(seen[10:-10] * heard[14 + s : 14 + s + len(seen) - 20]).sum(1).mean() for s in range(-10, 11)]
    assert abs(np.argmax(likeness) - 10) <= 1


def test_the_seed_decides_and_the_callers_chance_is_left_alone() -> None:
    talks, short = [drawn(60, 1, "a")], Learning(steps=2, batch=2, windows=12)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same, other = (learn(talks, short, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    with pytest.raises(ValueError, match="no stretch has 50 frames"):
        learn([drawn(49, 1, "a")], Learning(), 0)
