"""Face identity: alignment against OpenCV, embeddings by fakes and (where installed) by real networks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.metrics import identity


def mesh(shift: float = 0.0) -> np.ndarray:
    points = np.random.default_rng(0).uniform(40, 200, (478, 3))
    for index, place in zip((33, 133, 362, 263, 4, 61, 291), ((90, 100), (110, 100), (140, 98), (160, 98), (126, 130),
                                                              (105, 160), (148, 158)), strict=True):  # fmt: skip
        points[index, :2] = place
    points[:, :2] += shift
    return points


def test_alignment_is_insightfaces() -> None:
    """Against OpenCV's warp with a similarity solved another way, from pixel middles as insightface counts."""
    cv2 = pytest.importorskip("cv2")
    frame = np.random.default_rng(1).integers(0, 256, (30, 32, 3)).astype(np.uint8)
    frame = cv2.resize(frame, (256, 240), interpolation=cv2.INTER_CUBIC)
    points = identity.five_points(mesh())
    np.testing.assert_allclose(points, [[100, 100], [150, 98], [126, 130], [105, 160], [148, 158]])
    template = identity._TEMPLATE - 0.5
    rows, wanted = [], []
    for (x, y), (u, v) in zip(points - 0.5, template, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        wanted += [u, v]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    expected = cv2.warpAffine(frame, np.array([[a, -b, tx], [b, a, ty]]), (112, 112))
    off = np.abs(identity.aligned(frame, points).astype(int) - expected)
    assert np.percentile(off, 99) <= 6 and off.mean() < 1.5, (off.mean(), off.max())


class Session:
    """Stands in for onnxruntime: the mean colour of four quarters, repeated to 512 numbers."""

    def __init__(self, shape: tuple = (1, 3, 112, 112)) -> None:
        self.shape, self.given = shape, None

    def get_inputs(self) -> list:
        return [SimpleNamespace(name="data", shape=list(self.shape))]

    def get_outputs(self) -> list:
        return [SimpleNamespace(name="fc1")]

    def run(self, _: None, feed: dict) -> list:
        self.given = feed["data"]
        quarters = self.given.reshape(3, 2, 56, 2, 56).mean((2, 4)).ravel()
        return [np.resize(quarters, (1, 512))]


def test_arcface_is_given_what_it_wants() -> None:
    session = Session()
    network = identity.ArcFace(Path("a.onnx"), session)
    frame = np.full((256, 256, 3), (255, 0, 128), np.uint8)
    found = network(frame, mesh())
    assert session.given.shape == (1, 3, 112, 112) and session.given.dtype == np.float32
    np.testing.assert_allclose(session.given[0, :, 50, 50], [1.0, -1.0, 0.00392], atol=1e-4)
    assert np.linalg.norm(found) == pytest.approx(1.0)
    assert np.isnan(network(frame, np.full((478, 3), np.nan))).all()
    with pytest.raises(UserError, match="not ArcFace"):
        identity.ArcFace(Path("a.onnx"), Session((1, 3, 224, 224)))


def test_acd_by_hand() -> None:
    """Same, at right angles, opposite, and no face: (0 + 1 + 2) / 3."""
    true = np.array([[1.0, 0], [1, 0], [1, 0], [np.nan, np.nan]])
    rendered = np.array([[1.0, 0], [0, 1], [-1, 0], [1, 0]])
    network = identity.ArcFace(Path("a.onnx"), Session())
    (score,) = identity.identity_scores(rendered, true, network)
    assert (score.name, score.value, score.frames, score.higher_is_better) == ("acd", pytest.approx(1.0), 3, False)
    (nothing,) = identity.identity_scores(true[3:], true[3:], network)
    assert nothing.value is None and nothing.why
    (absent,) = identity.absent_identity()
    assert absent.value is None and "arcface" in absent.why


def test_a_file_that_is_no_network_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "arcface.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(UserError, match="is not a network that onnxruntime can read"):
        identity.ArcFace(path)


def test_a_real_onnx_file_runs(tmp_path: Path) -> None:
    """A network of one layer, written by the onnx package: the numbers are its own."""
    onnx = pytest.importorskip("onnx", exc_type=ImportError)
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["m"]), helper.make_node("Flatten", ["m"], ["y"])],
        "mean", [helper.make_tensor_value_info("x", kind, ["n", 3, 112, 112])],
        [helper.make_tensor_value_info("y", kind, ["n", 3])],
    )  # fmt: skip
    path = tmp_path / "arcface.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    found = identity.ArcFace(path)(np.full((256, 256, 3), (255, 0, 128), np.uint8), mesh())
    np.testing.assert_allclose(found, np.array([1, -1, 0.00392]) / np.linalg.norm([1, -1, 0.00392]), atol=1e-4)


@pytest.mark.slow
def test_dlib_tells_people_apart(shared_data: Path) -> None:
    """Frames of one person lie nearer to each other than to anybody else's (people known by file only)."""
    if not identity.dlib_is_here():
        pytest.skip("dlib and face_recognition_models are not installed")
    same, other = dlib_distances(shared_data)
    assert max(same) < min(other), (same, other)


def dlib_distances(shared_data: Path) -> tuple[list[float], list[float]]:
    """Distances within and between a few clips."""
    from itertools import islice

    from talkface.face.detect import Detector
    from talkface.io.video import read_frames

    network = identity.Dlib()
    clips = ["speakers/cnn2/clip.mp4", "speakers/edtalk_pose2/clip.mp4", "speakers/obama_2/clip.mp4",
             "speakers/person31/clip.mp4", "multi/misc/may_5s.mp4"]  # fmt: skip
    found = []
    for clip in clips:
        with Detector() as detector:
            rows = []
            for index, frame in enumerate(islice(read_frames(shared_data / clip), 101)):
                points = detector.detect(frame) if index % 25 == 0 else None
                if points is not None:
                    rows.append(network(frame, points))
        found.append(np.array(rows))
    same = [float(1 - min(rows[0] @ row for row in rows)) for rows in found]
    other = [float(1 - max((a @ b.T).max() for k, b in enumerate(found) if k != i)) for i, a in enumerate(found)]
    return same, other
