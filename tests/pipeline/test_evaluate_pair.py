"""Two videos in, scores out: what is aligned, what is said, what is refused."""

from __future__ import annotations

import importlib.util
import json
import re
import tracemalloc
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from PIL import Image

from talkface.cli import main
from talkface.errors import UserError
from talkface.io.video import VideoWriter, read_frames
from talkface.metrics import align_pair, pair_face
from talkface.metrics.pair import PairScores, View
from talkface.pipeline.evaluate_folders import evaluate_folders
from talkface.pipeline.evaluate_pair import PairOptions, evaluate_pair
from talkface.types import Speech

FRAMES = 60


def _drawn() -> ModuleType:
    path = Path(__file__).parents[1] / "metrics" / "drawn.py"
    spec = importlib.util.spec_from_file_location("drawn_person", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


drawn = _drawn()


@pytest.fixture(scope="module", autouse=True)
def without_the_fit():
    """The drawn detector finds 68 points, not the whole mesh that the face model is fitted to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_face, "LEAST_FRAMES", 10**9)
        yield


@pytest.fixture(scope="module")
def person():
    return drawn.DrawnPerson(200)


@pytest.fixture(scope="module")
def pictures(person) -> list[np.ndarray]:
    return [np.rint(person.truth(i) * 255).astype(np.uint8) for i in range(200)]


def write(path: Path, frames, fps: float = 25.0, speech: Speech | None = None, quality: int = 2) -> Path:
    frames = list(frames)
    with VideoWriter(path, frames[0].shape[:2], fps, speech=speech, quality=quality) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def truth(folder, pictures, person) -> Path:
    return write(folder / "truth.mp4", pictures[10 : 10 + FRAMES], speech=person.speech)


def judge(truth: Path, video: Path, out: Path, **options):
    chosen = PairOptions(**{"networks": False, **options})
    return evaluate_pair(truth, video, out, chosen, new_detector=lambda: drawn.detect)


def score(entries, name: str, region: str = "frame") -> dict:
    (found,) = [entry for entry in entries if (entry["name"], entry["region"]) == (name, region)]
    return found


def value(entries, name: str, region: str = "frame") -> float | None:
    return score(entries, name, region)["value"]


@pytest.fixture(scope="module")
def judged(truth, folder, person, tmp_path_factory):
    """A video whose mouth is two frames late, with some noise."""
    noise = np.random.default_rng(1)
    frames = [person.drawn(i, person.opening_cm[i - 2], person.shut[i]) for i in range(10, 10 + FRAMES)]
    late = [np.rint((f + noise.normal(0, 0.02, f.shape)).clip(0, 1) * 255).astype(np.uint8) for f in frames]
    video = write(folder / "late.mp4", late, speech=person.speech)
    out = tmp_path_factory.mktemp("report")
    return out, judge(truth, video, out)


def test_scores_json_is_what_the_contract_says(judged) -> None:
    out, returned = judged
    scores = json.loads((out / "scores.json").read_text())
    assert scores == returned
    first = ["method", "run", "data", "split", "size", "frames", "device", "scores", "ground_truth", "baselines"]
    assert list(scores)[: len(first)] == first
    assert (scores["size"], scores["frames"], scores["split"], scores["method"]) == ([96, 96], FRAMES, "pair", "late")
    assert set(scores["baselines"]) == {"still", "previous"}
    for entry in [*scores["scores"], *scores["ground_truth"], *scores["baselines"]["still"]]:
        assert {"name", "backend", "value", "higher_is_better", "frames", "region"} <= set(entry)
        assert (entry["value"] is None) == bool(entry.get("why")), entry


def test_the_truth_row_is_perfect_and_the_video_lies_between_it_and_the_still(judged) -> None:
    _, scores = judged
    own, best, still = scores["scores"], scores["ground_truth"], scores["baselines"]["still"]
    for name, region in (("psnr", "frame"), ("psnr", "mouth"), ("ssim", "frame"), ("ssim_sk", "frame")):
        assert value(best, name, region) > value(own, name, region) > value(still, name, region), name
    assert value(best, "psnr") == 100 and value(best, "ssim") == 1
    assert value(best, "lmd", "mouth") == 0 < value(own, "lmd", "mouth")
    assert value(own, "opening_r", "mouth") < 0.9 and value(own, "au45_r", "eyes") > 0.95


def test_a_mouth_that_lags_is_no_reason_to_move_the_video(judged) -> None:
    _, scores = judged
    assert scores["alignment"]["picture_lag_frames"] == 0 and scores["warnings"] == []


def test_the_report_needs_nothing_from_outside(judged) -> None:
    out, _ = judged
    page = (out / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {s if not s.startswith("data:") else "data" for s in sources} == {"data", "comparison.mp4"}
    assert page.count("<svg") == 3 and page.count('class="strip"') >= 5
    with av.open(str(out / "comparison.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == FRAMES
        assert film.streams.video[0].width == 2 * 288 and len(film.streams.audio) == 1


def test_a_video_against_itself_is_best_everywhere(truth, tmp_path: Path) -> None:
    scores = judge(truth, truth, tmp_path)
    for entry, best in zip(scores["scores"], scores["ground_truth"], strict=True):
        assert entry == best | {"value": best["value"] and pytest.approx(best["value"], abs=1e-6)}
        if entry["name"].startswith(("lmd", "head_")):
            assert entry["value"] == pytest.approx(0, abs=1e-5), entry
        elif entry["name"].startswith("ssim") or entry["name"] in ("opening_r", "velocity_r", "closure_f1", "au45_r"):
            assert entry["value"] == pytest.approx(1), entry


def test_an_offset_is_found_said_and_taken_out(pictures, folder, truth, tmp_path: Path) -> None:
    delay = 3
    video = write(folder / "delayed.mp4", pictures[10 - delay : 10 - delay + FRAMES])
    plain = judge(truth, video, tmp_path / "plain")
    assert any(f"{delay:+d} frames" in warning and "--offset" in warning for warning in plain["warnings"])
    auto = judge(truth, video, tmp_path / "auto", offset="auto")
    assert auto["alignment"]["offset_frames"] == delay
    assert auto["frames"] == FRAMES - abs(delay)
    assert value(auto["scores"], "psnr") > value(plain["scores"], "psnr") + 5
    assert value(auto["scores"], "opening_r", "mouth") > 0.99 > value(plain["scores"], "opening_r", "mouth")
    early = judge(video, truth, tmp_path / "early", offset="-3", max_frames=20)
    assert early["alignment"]["truth"]["first_frame"] == 3 and value(early["scores"], "psnr") > 35
    assert not any("agree better" in warning for warning in early["warnings"])


def test_sizes_are_brought_together_as_asked(pictures, folder, truth, tmp_path: Path) -> None:
    double = [np.repeat(np.repeat(frame, 2, 0), 2, 1) for frame in pictures[10:30]]
    video = write(folder / "double.mp4", double)
    for size, expected, ways in (
        ("truth", [96, 96], ("none", "area")),
        ("video", [192, 192], ("bicubic", "none")),
        ("120x100", [120, 100], ("bicubic", "area")),
    ):
        scores = judge(truth, video, tmp_path / size, size=size)
        assert scores["size"] == expected
        assert tuple(scores["alignment"][side]["resampling"] for side in ("truth", "video")) == ways
        assert value(scores["scores"], "psnr") > 31, "the codec halves colour, which alone costs 32 dB at 96 px"


def test_another_shape_is_said(pictures, folder, truth, tmp_path: Path) -> None:
    wide = [np.asarray(Image.fromarray(frame).resize((144, 96))) for frame in pictures[10:30]]
    scores = judge(truth, write(folder / "wide.mp4", wide), tmp_path)
    assert any("stretched" in warning and "144x96" in warning for warning in scores["warnings"])


def test_another_rate_is_read_on_the_clock(pictures, folder, truth, tmp_path: Path) -> None:
    often = [frame for frame in pictures[10:30] for _ in range(2)]
    scores = judge(truth, write(folder / "fast.mp4", often, 50.0), tmp_path)
    assert scores["frames"] == 20 and scores["alignment"]["video"]["fps"] == pytest.approx(50)
    assert value(scores["scores"], "psnr") > 38


def test_a_video_that_lies_on_its_side_is_turned(pictures, folder, truth, tmp_path: Path) -> None:
    plain = write(folder / "turned.mp4", [np.rot90(frame).copy() for frame in pictures[10:30]])
    turned = folder / "flagged.mov"
    with av.open(str(plain)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        try:
            stream.set_display_rotation(-90)
        except AttributeError:
            pytest.skip("this PyAV writes no rotation flags")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    scores = judge(truth, turned, tmp_path)
    assert value(scores["scores"], "psnr") > 38


def test_the_common_part_is_scored_and_the_report_says_so(pictures, folder, truth, tmp_path: Path) -> None:
    video = write(folder / "short.mp4", pictures[10:55])
    scores = judge(truth, video, tmp_path)
    assert scores["frames"] == 45
    (said,) = scores["warnings"]
    assert said.startswith("45 frames were scored") and "60" in said and "45" in said
    assert judge(truth, video, tmp_path, max_frames=20)["frames"] == 20


def test_frames_without_a_face_are_left_out_and_counted(pictures, folder, truth, tmp_path: Path) -> None:
    half = [np.zeros_like(frame) if 20 <= k < 50 else frame for k, frame in enumerate(pictures[10 : 10 + FRAMES])]
    scores = judge(truth, write(folder / "half.mp4", half), tmp_path)
    assert any("no face was found in 30 of 60 frames of the video" in warning for warning in scores["warnings"])
    assert score(scores["scores"], "lmd", "mouth")["frames"] == 30
    assert value(scores["scores"], "lmd", "mouth") < 0.2
    assert score(scores["scores"], "psnr")["frames"] == 60, "pictures are scored everywhere"


def test_sync_needs_sound_and_says_what_is_missing(pictures, folder, truth, tmp_path: Path) -> None:
    frames = pictures[10 : 10 + FRAMES]
    mute = write(folder / "mute.mp4", frames)
    silent = write(folder / "silent.mp4", frames, speech=Speech(np.zeros(40_000, np.float32)))
    for video, expected in ((mute, "has no sound"), (silent, "is silent")):
        scores = judge(truth, video, tmp_path / video.stem, networks=True)
        for name in ("sync_r", "sync_lag_frames", "lse_c"):
            entry = score(scores["scores"], name, "mouth")
            assert entry["value"] is None and expected in entry["why"] and entry["frames"] == 0
        assert expected not in score(scores["ground_truth"], "sync_r", "mouth").get("why", "")


def test_one_frame_is_enough_for_pictures(pictures, folder, truth, tmp_path: Path) -> None:
    scores = judge(truth, write(folder / "one.mp4", pictures[10:11]), tmp_path)
    assert scores["frames"] == 1 and value(scores["scores"], "psnr") > 35
    assert value(scores["scores"], "opening_r", "mouth") is None
    assert value(scores["baselines"]["previous"], "psnr") is None


def test_the_face_crop_is_square_and_holds_the_face(pictures, folder, truth, tmp_path: Path) -> None:
    scores = judge(truth, truth, tmp_path, crop="face")
    assert scores["size"] == [256, 256]
    left, top, right, bottom = scores["alignment"]["crop"]
    assert right - left == pytest.approx(bottom - top) and 0 <= left < right <= 96 and 0 <= top < bottom <= 96
    black = write(folder / "black.mp4", [np.zeros_like(pictures[0])] * 5)
    with pytest.raises(UserError, match="no face was found"):
        judge(black, black, tmp_path, crop="face")


def test_memory_does_not_grow_with_length(pictures, folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every frame a few numbers stay (3 kB); kept pictures, 27 kB each, would be another third."""
    monkeypatch.setattr(align_pair, "LAG_FRAMES", 32)
    monkeypatch.setattr(pair_face, "FITTED_FRAMES", 32)
    peaks = []
    for frames in (40, 200):
        clip = write(folder / f"long{frames}.mp4", pictures[:frames])
        tracemalloc.start()
        judge(clip, clip, tmp_path / str(frames))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.25 * peaks[0], [peak / 1e6 for peak in peaks]


def test_frames_that_are_no_pictures_are_refused_in_python(pictures) -> None:
    bad = np.full((96, 96, 3), np.nan, np.float32)
    with pytest.raises(UserError, match="no numbers"):
        View(bad, None)
    with pytest.raises(UserError, match="shape"):
        View(pictures[0][..., 0], None)
    with pytest.raises(UserError, match="resize it first"):
        PairScores().add(View(pictures[0], None), View(pictures[0][:50], None))


@pytest.fixture(scope="module")
def folders(pictures, tmp_path_factory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("pairs")
    truths, videos = root / "truth", root / "made"
    truths.mkdir(), videos.mkdir()
    for name, start in (("a", 0), ("b", 40), ("c", 80)):
        write(truths / f"{name}.mp4", pictures[start : start + 30])
        dim = [(0.9 * frame).astype(np.uint8) for frame in pictures[start : start + 30]]
        write(videos / f"{name}.mov", dim, quality={"a": 2, "b": 20, "c": 30}[name])
    write(truths / "alone.mp4", pictures[:5])
    (truths / "notes.txt").write_text("passed over")
    (truths / "broken.mp4").write_text("no video")
    (videos / "broken.mp4").write_text("no video")
    return truths, videos


def test_folders_are_matched_resumed_and_averaged(folders, tmp_path: Path) -> None:
    truths, videos = folders
    made = []

    def detector():
        made.append(1)
        return drawn.detect

    total = evaluate_folders(truths, videos, tmp_path, new_detector=detector)
    assert [pair["name"] for pair in total["pairs"]] == ["a", "b", "c"]
    assert total["unmatched"] == {"truth": ["alone.mp4"], "video": []}
    assert list(total["failed"]) == ["broken"] and "broken.mp4" in total["failed"]["broken"]
    pairs = [json.loads((tmp_path / name / "scores.json").read_text()) for name in "abc"]
    values = np.array([value(pair["scores"], "psnr") for pair in pairs])
    mean = score(total["scores"], "psnr")
    assert mean["value"] == pytest.approx(values.mean()) and mean["pairs"] == 3 and mean["frames"] == 90
    half = 4.302653 * values.std(ddof=1) / np.sqrt(3)  # Student's t, 2 degrees of freedom
    assert mean["interval_95"] == pytest.approx([values.mean() - half, values.mean() + half], rel=1e-5)
    assert value(total["ground_truth"], "ssim") == pytest.approx(1)
    for name in ("report.html", "scores.json", "table.md", "table.tex", "table.json"):
        assert (tmp_path / name).is_file()
    page = (tmp_path / "report.html").read_text()
    assert 'href="a/report.html"' in page and "alone.mp4 has no partner" in page and "broken could not" in page
    assert "±" in (tmp_path / "table.md").read_text()

    before = len(made)
    assert evaluate_folders(truths, videos, tmp_path, new_detector=detector) == total
    assert len(made) == before, "what is done is not done again"
    (tmp_path / "b" / "scores.json").write_text("{torn")
    evaluate_folders(truths, videos, tmp_path, new_detector=detector)
    assert 0 < len(made) - before <= before // 3, "only the broken one was"
    changed = evaluate_folders(truths, videos, tmp_path, PairOptions(max_frames=10), new_detector=detector)
    assert changed["frames"] == 30


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = main(arguments)
    heard = capsys.readouterr()
    assert code == 2, heard.err
    lines = [line for line in heard.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in heard.err and heard.out == ""
    return lines[0]


def test_bad_input_is_one_sentence(truth, folders, tmp_path: Path, capsys) -> None:
    text, empty = tmp_path / "notes.mp4", tmp_path / "nothing"
    text.write_text("no video at all")
    empty.mkdir()
    in_the_way = tmp_path / "file"
    in_the_way.write_text("precious")
    out, good = str(tmp_path / "out"), str(truth)
    for arguments, expected in (
        (["--truth", good, "--video", str(text)], "notes.mp4 is not a video"),
        (["--truth", str(tmp_path / "gone.mp4"), "--video", good], "gone.mp4 does not exist"),
        (["--truth", good, "--video", str(empty)], "is a folder"),
        (["--truth", str(folders[0]), "--video", str(empty)], "no file name in common"),
        (["--truth", good], "belong together"),
        ([], "either a run folder, or --truth and --video"),
        (["runs/me", "--truth", good, "--video", good], "either a run folder, or --truth and --video"),
        (["runs/me", "--offset", "3"], "--offset goes with --truth and --video"),
        (["--truth", good, "--video", good, "--data", "x"], "--data goes with a run folder"),
        (["--truth", good, "--video", good, "--size", "12"], "--size 12"),
        (["--truth", good, "--video", good, "--size", "9x9"], "--size 9x9"),
        (["--truth", good, "--video", good, "--size", "99999x99999"], "--size 99999x99999"),
        (["--truth", good, "--video", good, "--offset", "soon"], "--offset soon"),
        (["--truth", good, "--video", good, "--offset", "500"], "no frame in common"),
        (["--truth", good, "--video", good, "--offset", "-500"], "no frame in common"),
        (["--truth", good, "--video", good, "--max-frames", "0"], "--max-frames 0"),
    ):
        assert expected in refused(["evaluate", *arguments, "--out", out], capsys), arguments
        assert not (tmp_path / "out").exists(), arguments
    said = refused(["evaluate", "--truth", good, "--video", good, "--out", str(in_the_way / "x")], capsys)
    assert "cannot be made" in said and in_the_way.read_text() == "precious"


def test_the_command_scores_what_has_no_face(truth, tmp_path: Path, capsys) -> None:
    """mediapipe sees no face in the drawn one: pictures are scored, faces are not, and the command says so."""
    assert main(["evaluate", "--truth", str(truth), "--video", str(truth), "--out", str(tmp_path), "--json"]) == 0
    heard = capsys.readouterr()
    scores = json.loads(heard.out)
    assert value(scores["scores"], "psnr") == 100
    entry = score(scores["scores"], "lmd", "mouth")
    assert entry["value"] is None or scores["alignment"]["truth"]["frames_without_face"] < FRAMES


@pytest.mark.slow
def test_a_real_pair_is_fitted_too(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_face, "LEAST_FRAMES", 25)
    clip = shared_data / "speakers" / "cnn2" / "clip.mp4"
    scores = evaluate_pair(clip, clip, tmp_path, PairOptions(offset="1", max_frames=50, size="256x256", networks=False))
    own, best = scores["scores"], scores["ground_truth"]
    assert value(best, "pose_error_deg", "head") == 0 < value(own, "pose_error_deg", "head") < 2
    assert value(best, "au@fit", "face") in (None, 1) and value(best, "ms_ssim") == 1 > value(own, "ms_ssim") > 0.8
    assert "+0 frames" in scores["warnings"][0], "the truth against itself agrees best where it is not moved"


def test_frames_come_back_as_written(pictures, truth) -> None:
    """The other tests rest on this: the codec at this quality keeps brightness (it halves the size of colour)."""
    first = next(read_frames(truth))
    luma = np.array([0.2126, 0.7152, 0.0722])
    assert np.abs(first @ luma - pictures[10] @ luma).mean() < 1.5
