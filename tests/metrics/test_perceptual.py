"""The networks' scores: nothing where a network is absent, the original's numbers where it is (with seeded weights)."""

from __future__ import annotations

import importlib.util
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from talkface import assets
from talkface.errors import UserError
from talkface.metrics import perceptual
from talkface.metrics.fid import FeatureStatistics, frechet_distance
from talkface.metrics.perceptual import PerceptualScores, as_tensor, box_cut, masked_cut, picture_networks
from talkface.nets.inception import Inception
from talkface.nets.lpips import BACKBONES, Lpips
from talkface.types import Score


def fill_by_name(shapes: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    path = Path(__file__).parents[1] / "nets" / "golden" / "filler.py"
    spec = importlib.util.spec_from_file_location("filler", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fill_by_name(shapes)


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of AlexNet, SqueezeNet and Inception; VGG is not there."""
    folder = tmp_path_factory.mktemp("assets")
    for backbone in ("alex", "squeeze"):
        net = Lpips(backbone)
        classifier = fill_by_name(net.classifier.state_dict())
        layers = {name: values.abs() for name, values in fill_by_name(net.linear.state_dict()).items()}
        torch.save(classifier, folder / assets.named(BACKBONES[backbone].classifier).file)
        torch.save(layers, folder / assets.named(BACKBONES[backbone].layers).file)
    torch.save(fill_by_name(Inception().state_dict()), folder / assets.named("inception_fid").file)
    return folder


@pytest.fixture
def networks(brought: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: [brought])


@pytest.fixture
def lpips_only(networks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Inception, whose roots of 2048 x 2048 take seconds."""
    find = assets.find
    monkeypatch.setattr(assets, "find", lambda name: None if name == "inception_fid" else find(name))


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: [tmp_path])


def frames(count: int, seed: int = 0, height: int = 72, width: int = 90) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.random((height, width, 3), dtype=np.float32) for _ in range(count)]


def mask_of(height: int = 72, width: int = 90) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[5:70, 10:80] = True
    return mask


MOUTH = (30, 40, 60, 60)


def judged(pictures: list[np.ndarray], truths: list[np.ndarray]) -> dict[str, Score]:
    gathered = PerceptualScores()
    for picture, truth in zip(pictures, truths, strict=True):
        gathered.add(picture, truth, mask_of(), MOUTH)
    return {f"{s.name}/{s.region}": s for s in gathered.scores()}


def test_absent_networks_compute_nothing_and_say_how_to_get_them(nothing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual, "check_pair", None)  # nothing is even looked at
    found = judged(frames(3), frames(3, 1))
    assert set(found) == {"lpips/frame", "lpips_vgg/frame", "lpips_squeeze/frame", "fid/frame"}
    assert all(score.value is None and score.frames == 0 for score in found.values())
    assert found["lpips/frame"].why.startswith("alexnet and lpips_alex not here; `talkface assets` says")
    assert found["fid/frame"].why.startswith("inception_fid not here")


def test_values_are_those_of_the_networks(networks) -> None:
    pictures, truths = frames(4), frames(4, 1)
    found = judged(pictures, truths)
    here = picture_networks()
    for name in ("lpips", "lpips_squeeze"):
        net = here.lpips[name].network
        wanted = [float(net(as_tensor(a), as_tensor(b))) for a, b in zip(pictures, truths, strict=True)]
        assert found[f"{name}/frame"].value == pytest.approx(np.mean(wanted), rel=1e-6)
        assert found[f"{name}/frame"].frames == 4
    assert found["lpips_vgg/frame"].value is None and found["lpips_vgg/frame"].why.startswith("vgg16 and")

    sets = []
    for group in (pictures, truths):
        statistics = FeatureStatistics(2048)
        statistics.add(torch.cat([here.inception.network(as_tensor(one))[0] for one in group]).numpy())
        sets.append(statistics)
    assert found["fid/frame"].value == pytest.approx(frechet_distance(*sets), rel=1e-6)
    assert "4 frames are fewer than 2048" in found["fid/frame"].why
    assert found["fid_192/frame"].value > 0


def test_the_truth_is_perfect_and_worse_pictures_are_worse(lpips_only) -> None:
    truths = frames(2, 1)
    values = []
    for amount in (0.0, 0.1, 0.3):
        pictures = [(1 - amount) * truth + amount * other for truth, other in zip(truths, frames(2, 5), strict=True)]
        found = judged(pictures, truths)
        assert found["lpips/frame"].higher_is_better is False
        values.append([score.value for score in found.values() if score.value is not None])
    assert values[0] == pytest.approx([0] * 4, abs=1e-6)
    assert (np.diff(values, axis=0) > 0).all()


def test_regions_see_only_themselves(lpips_only) -> None:
    truth = frames(1)[0]
    outside = truth.copy()
    outside[:4] = 0
    found = judged([outside], [truth])
    assert found["lpips/head"].value == 0 and found["lpips/mouth"].value == 0 < found["lpips/frame"].value
    cheek = truth.copy()
    cheek[10:20, 15:25] = 0
    found = judged([cheek], [truth])
    assert found["lpips/mouth"].value == 0 < found["lpips/head"].value


def test_cuts() -> None:
    picture, truth = frames(1)[0], frames(1, 1)[0]
    cut, _ = masked_cut(picture, truth, mask_of())
    assert cut.shape == (65, 70, 3) and np.array_equal(cut, picture[5:70, 10:80])
    corner = mask_of()
    corner[0, 0] = True
    cut, true = masked_cut(picture, truth, corner)
    assert np.array_equal(true, truth[:70, :80]) and np.array_equal(cut[0, 1:], truth[0, 1:80])
    assert np.array_equal(cut[0, 0], picture[0, 0])
    assert masked_cut(picture, truth, ~corner & corner) is None and masked_cut(picture, truth, None) is None
    assert np.array_equal(box_cut(picture, truth, (-5, -3, 20, 10))[0], picture[:10, :20])
    assert box_cut(picture, truth, (-9, 0, 0, 10)) is None and box_cut(picture, truth, None) is None


def test_frames_without_a_face_have_no_region(lpips_only) -> None:
    gathered, (one, other) = PerceptualScores("face"), frames(2)
    gathered.add(one, other)
    gathered.add(one, other, mask_of(), MOUTH)
    found = {f"{s.name}/{s.region}": s for s in gathered.scores()}
    assert found["lpips/frame"].frames == 2 and found["lpips/face"].frames == found["lpips/mouth"].frames == 1


def test_small_and_broken_frames(networks) -> None:
    small = frames(1, height=30, width=90)[0]
    gathered = PerceptualScores()
    gathered.add(small, small)
    found = {s.name: s for s in gathered.scores() if s.region == "frame"}
    assert found["lpips"].value is None and "31 px" in found["lpips"].why
    assert found["lpips_squeeze"].value == 0
    assert found["fid"].value is None and "two frames" in found["fid"].why
    with pytest.raises(UserError, match="frame 1 holds values that are no numbers"):
        gathered.add(np.full_like(small, np.nan), small)


def test_a_file_that_is_not_the_published_one_is_named_in_the_report(networks) -> None:
    found = judged(frames(1), frames(1, 1))
    alex = assets.sha256(assets.find("alexnet"))[:8]
    assert f"alexnet not the published file: sha256 {alex}" in found["lpips/frame"].backend
    assert "inception_fid not the published file" in found["fid/frame"].backend


def test_a_wrong_file_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: [tmp_path])
    (tmp_path / assets.named("inception_fid").file).write_bytes(b"<html>")
    with pytest.raises(UserError, match="web page"):
        PerceptualScores()


def test_memory_does_not_grow_with_the_video(networks) -> None:
    gathered, (one, other) = PerceptualScores(), frames(2)
    used = []
    tracemalloc.start()
    for _ in range(5):
        gathered.add(one, other, mask_of(), MOUTH)
        used.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert used[-1] - used[1] < 20_000, "one set of features alone has 18 000 bytes"


def test_networks_are_read_once_and_truth_is_looked_at_once(lpips_only, monkeypatch: pytest.MonkeyPatch) -> None:
    here = picture_networks()
    assert picture_networks() is here
    truth, calls = frames(1)[0], []
    features = here.lpips["lpips_squeeze"].features
    original = features._features
    monkeypatch.setattr(features, "_features", lambda tensor: calls.append(1) or original(tensor))
    for row in (PerceptualScores(), PerceptualScores(), PerceptualScores()):
        row.add(frames(1, 3)[0], truth)
    assert len(calls) == 4, "three pictures and one truth"
