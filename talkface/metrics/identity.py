"""Whose face it is: ACD, the mean over frames of 1 - cosine between face embeddings of two videos (JEAN).

The published score is ArcFace's: 512 numbers of a 112 x 112 px face, laid on the template by a similarity of five
points. The user brings the network as an ONNX file; onnxruntime runs it (extra `ident`). The same extra brings dlib's
128-number network, whose score bears another name, `acd@dlib`. Without either there is no score. 0 is the same picture;
what counts as the same person differs by network, so compare with the truth's row and with other people.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from talkface import assets
from talkface.errors import UserError
from talkface.metrics.alignment import similarity
from talkface.metrics.rows import absent, measured
from talkface.types import Score

NO_NETWORK = (
    "no face-recognition network is here: bring ArcFace (`talkface assets import arcface FILE`) or install "
    "talkface[ident]"
)
_SIDE_PX = 112
_TEMPLATE = 0.5 + np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where ArcFace wants both eyes, nose tip and mouth corners (viewer's left first), px (insightface's alignment).

insightface counts from the middle of the first pixel, we from its corner."""
_EYES, _NOSE_TIP, _MOUTH = ((33, 133), (362, 263)), 4, (61, 291)
_DLIB_POINTS = (263, 362, 33, 133, 2)
"""Mesh points of dlib's five: corners of the subject's left eye (outer, inner) and right eye, base of the nose."""


@runtime_checkable
class Embedder(Protocol):
    """A face-recognition network."""

    score: str
    """Name of the score that it gives."""
    backend: str

    def __call__(
        self, frame: UInt8[np.ndarray, "height width 3"], points: Float[np.ndarray, "478 3"]
    ) -> Float[np.ndarray, " numbers"]:
        """The face's numbers, of length 1; NaN where `points` (the mesh, px) are NaN."""
        ...


class ArcFace:
    """ArcFace from an ONNX file.

    Args:
        session: What runs it, in place of onnxruntime (tests).

    Raises:
        UserError: onnxruntime is missing, or the file is not a network of 112 x 112 px faces.
    """

    score, backend = "acd", "arcface, onnx"

    def __init__(self, path: Path, session: Any = None) -> None:
        self._session = session if session is not None else _session(path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or list(inputs[0].shape[1:]) != [3, _SIDE_PX, _SIDE_PX] or len(outputs) != 1:
            raise UserError(f"{path} is not ArcFace: it must take one picture of 3 x 112 x 112 and give one vector")
        self._input = inputs[0].name

    def __call__(
        self, frame: UInt8[np.ndarray, "height width 3"], points: Float[np.ndarray, "478 3"]
    ) -> Float[np.ndarray, " numbers"]:
        """See `Embedder`."""
        if not np.isfinite(points).all():
            return np.full(512, np.nan)
        face = aligned(frame, five_points(points))
        given = ((face.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None]
        return _unit(np.asarray(self._session.run(None, {self._input: given})[0], np.float64).ravel())


class Dlib:
    """dlib's recognition network of 2017 from the package face_recognition_models (29 layers, 150 px, 128 numbers).

    Raises:
        UserError: the extra `ident` is not installed.
    """

    score, backend = "acd@dlib", "dlib resnet v1"

    def __init__(self) -> None:
        if not dlib_is_here():
            raise UserError("dlib's face recognition is not installed; install talkface[ident]")
        import dlib

        self._dlib = dlib
        # The package itself needs pkg_resources to be imported; its file does not.
        folder = Path(str(importlib.util.find_spec("face_recognition_models").origin)).parent / "models"  # type: ignore[union-attr]
        self._network = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))

    def __call__(
        self, frame: UInt8[np.ndarray, "height width 3"], points: Float[np.ndarray, "478 3"]
    ) -> Float[np.ndarray, " numbers"]:
        """See `Embedder`."""
        if not np.isfinite(points).all():
            return np.full(128, np.nan)
        dlib, flat = self._dlib, points[:, :2]
        (left, top), (right, bottom) = (np.rint(edge).astype(int).tolist() for edge in (flat.min(0), flat.max(0)))
        marks = dlib.points([dlib.point(*np.rint(flat[i]).astype(int).tolist()) for i in _DLIB_POINTS])
        shape = dlib.full_object_detection(dlib.rectangle(left, top, right, bottom), marks)
        return _unit(np.array(self._network.compute_face_descriptor(np.ascontiguousarray(frame), shape)))


def embedder() -> Embedder | None:
    """The best network at hand: ArcFace where the user brought it and onnxruntime is here, else dlib's, else none."""
    path = assets.find("arcface")
    if path is not None and importlib.util.find_spec("onnxruntime") is not None:
        return ArcFace(path)
    return Dlib() if dlib_is_here() else None


def dlib_is_here() -> bool:
    """Whether dlib and its network are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("dlib", "face_recognition_models"))


def identity_scores(
    rendered: Float[np.ndarray, "frames numbers"], true: Float[np.ndarray, "frames numbers"], network: Embedder
) -> list[Score]:
    """ACD of two videos' embeddings, frame by frame; frames without a face in either are left out."""
    distance = 1 - (rendered * true).sum(1)
    seen = np.isfinite(distance)
    mean = float(distance[seen].mean()) if seen.any() else float("nan")
    return [measured(network.score, mean, False, int(seen.sum()), "face", network.backend)]


def absent_identity() -> list[Score]:
    """ACD where no network is here."""
    return [absent("acd", False, NO_NETWORK, "face", ArcFace.backend)]


def five_points(points: Float[np.ndarray, "478 3"]) -> Float[np.ndarray, "5 2"]:
    """Middle of each eye, nose tip and mouth corners of the mesh, viewer's left first, px.

    Eyes are the middles of their corners, which unlike irises do not move with gaze.
    """
    flat = points[:, :2]
    eyes = [flat[list(corners)].mean(0) for corners in _EYES]
    return np.array([*eyes, flat[_NOSE_TIP], *flat[list(_MOUTH)]])


def aligned(
    frame: UInt8[np.ndarray, "height width 3"], points: Float[np.ndarray, "5 2"]
) -> UInt8[np.ndarray, "112 112 3"]:
    """The face on ArcFace's template: 112 x 112 px, bilinear; outside the frame black."""
    frame_from_face = similarity(_TEMPLATE, points)
    picture = Image.fromarray(frame).transform(
        (_SIDE_PX, _SIDE_PX), Image.Transform.AFFINE, tuple(frame_from_face.ravel()), Image.Resampling.BILINEAR
    )
    return np.asarray(picture)


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError("ArcFace needs onnxruntime; install talkface[ident]") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UserError(f"{path} is not a network that onnxruntime can read") from error


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else np.full(len(vector), np.nan)
