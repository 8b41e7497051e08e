"""The face as the fit sees it: 468 mesh points moved by identity and expression modes, with their priors.

From the ICT model where the user has it; else from the canonical mesh or the average face measured by this project,
with smooth modes of the mesh graph instead of a statistical identity (tracking.md §9).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Int

from talkface import assets
from talkface.errors import UserError
from talkface.face.correspondence import correspondence
from talkface.face.detect import FACE_OVAL
from talkface.face.model import PARTS, ict
from talkface.geometry import rotation_from_angles

Source = Literal["auto", "ict", "canonical", "average"]

LIPS = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375,
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324,
)  # fmt: skip
EYES = (
    33, 246, 161, 160, 159, 158, 157, 173, 133, 7, 163, 144, 145, 153, 154, 155,
    362, 398, 384, 385, 386, 387, 388, 466, 263, 382, 381, 380, 374, 373, 390, 249,
)  # fmt: skip
_LOOK = "eyeLook"
_WEIGHT_SD = {"eyeBlink": 1.0, "jaw": 0.4, "cheekPuff": 0.1, "jawForward": 0.1}
_TEMPO_SD = {
    "eyeBlink": 0.6, "jaw": 0.2, "mouthClose": 0.2, "brow": 0.06, "eyeSquint": 0.06, "cheekSquint": 0.06,
    "noseSneer": 0.06,
}  # fmt: skip
_GRAPH_MODES, _GRAPH_SD_CM = 24, 0.12
_CANONICAL_TURN = rotation_from_angles(0.0, np.deg2rad(2.738), 0.0)
_CANONICAL_SHIFT_CM = np.array([0.0, 0.66, 5.60])
"""The canonical face in the head frame of the ICT model, so that a pose means the same with either."""
_EYEBALL_BEHIND_CM = np.array([0.0, 0.15, -0.6])
"""From the middle of the eye corners to the eyeball's centre, as on the ICT model."""


@dataclass(frozen=True, eq=False)
class FaceBasis:
    """``shape = neutral + sum_i a_i identity_i + sum_j w_j expression_j`` at the 468 mesh points, head frame, cm."""

    name: str
    neutral: Float[np.ndarray, "468 3"]
    identity: Float[np.ndarray, "identity 468 3"]
    """Unit-variance modes."""
    expression: Float[np.ndarray, "expression 468 3"]
    names: tuple[str, ...]
    weight_sd: Float[np.ndarray, " expression"]
    """Prior spread of each expression weight about 0."""
    tempo_sd: Float[np.ndarray, " expression"]
    """Prior spread of each weight's second difference at 25 frames per second."""
    bounded: bool
    """Whether expression weights lie in [0, 1]."""
    blink: tuple[int, int] | None
    """Expressions that shut the subject's right and left eye."""
    eyeballs: Float[np.ndarray, "2 3"]
    """Centres of the subject's right and left eyeball."""
    eyeball_identity: Float[np.ndarray, "identity 2 3"]
    sigma: Float[np.ndarray, " 468"] = field(default_factory=lambda: point_sigma())
    """Detector noise per coordinate, fraction of the distance between the iris centres."""
    focal_is_seen: bool = True
    """Whether the shape is metric enough to tell the focal length."""

    def shapes(
        self,
        identity: Float[np.ndarray, " identity"],
        offset: Float[np.ndarray, "468 3"],
        expression: Float[np.ndarray, "frames expression"],
    ) -> Float[np.ndarray, "frames 468 3"]:
        """One person's points in every frame."""
        rest = self.neutral + np.tensordot(identity, self.identity, 1) + offset
        return rest + (expression @ self.expression.reshape(len(self.names), 468 * 3)).reshape(-1, 468, 3)

    def with_expressions(self, modes: Float[np.ndarray, "modes 468 3"]) -> FaceBasis:
        """The same face with measured, unnamed expression modes of unit variance."""
        count = len(modes)
        return replace(
            self,
            expression=modes,
            names=tuple(f"mode{i:02d}" for i in range(count)),
            weight_sd=np.ones(count),
            tempo_sd=np.full(count, 0.5),
        )


def point_sigma() -> Float[np.ndarray, " 468"]:
    """0.7 % on the eyes, 0.9 on the lips, 1.0 elsewhere and 3.0 on the oval, which slides with yaw (tracking.md §3)."""
    sigma = np.full(468, 0.010)
    sigma[list(FACE_OVAL)] = 0.030
    sigma[list(LIPS)] = 0.009
    sigma[list(EYES)] = 0.007
    return sigma


def face_basis(source: Source = "auto") -> FaceBasis:
    """The face model that a fit uses; "auto" takes the best one at hand.

    Raises:
        UserError: a named model's file is absent.
    """
    if source == "auto":
        canonical = assets.find("canonical") is not None
        source = "ict" if canonical and assets.find("ict") else "canonical" if canonical else "average"
    return _ict_basis() if source == "ict" else _canonical_basis() if source == "canonical" else _average_basis()


def canonical_face() -> Float[np.ndarray, "468 3"]:
    """The user's canonical face, cm, in landmark order."""
    return read_canonical(assets.require("canonical"))


def read_canonical(path: Path) -> Float[np.ndarray, "468 3"]:
    """The canonical face of a packed file, cm.

    Raises:
        UserError: the file is not one.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            vertices = data["vertices"].astype(float)
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise UserError(f"{path} is not a packed canonical face: {error}") from error
    if vertices.shape != (468, 3):
        raise UserError(f"{path} has vertices of shape {vertices.shape}; the canonical face has (468, 3)")
    return vertices


@lru_cache(maxsize=1)
def _ict_basis() -> FaceBasis:
    model = ict()
    link = correspondence(model, canonical_face())
    keep = [i for i, name in enumerate(model.expression_names) if not name.startswith(_LOOK)]
    names = tuple(model.expression_names[i] for i in keep)
    balls = np.arange(PARTS["eyeballs"].start, PARTS["eyeballs"].stop)
    sides = [balls[model.neutral[balls, 0] < 0], balls[model.neutral[balls, 0] > 0]]
    return FaceBasis(
        name="ict",
        neutral=link.gather(model.neutral),
        identity=link.gather(model.identity),
        expression=link.gather(model.expression[keep]),
        names=names,
        weight_sd=np.array([_of(_WEIGHT_SD, name, 0.3) for name in names]),
        tempo_sd=np.array([_of(_TEMPO_SD, name, 0.15) for name in names]),
        bounded=True,
        blink=(names.index("eyeBlink_R"), names.index("eyeBlink_L")),
        eyeballs=np.stack([model.neutral[side].mean(0) for side in sides]).astype(float),
        eyeball_identity=np.stack([model.identity[:, side].mean(1) for side in sides], 1).astype(float),
    )


def _of(table: dict[str, float], name: str, otherwise: float) -> float:
    """The longest key the name begins with decides."""
    fitting = [key for key in table if name.startswith(key)]
    return table[max(fitting, key=len)] if fitting else otherwise


def _canonical_basis() -> FaceBasis:
    return _graph_basis("canonical", canonical_face() @ _CANONICAL_TURN.T + _CANONICAL_SHIFT_CM)


def _average_basis() -> FaceBasis:
    with (resources.files("talkface.face") / "average_face.npz").open("rb") as file, np.load(file) as data:
        return _graph_basis("average", data["vertices"].astype(float))


def _graph_basis(name: str, neutral: np.ndarray) -> FaceBasis:
    """Smooth modes: the graph Laplacian's lowest eigenvectors in x, y and z, 0.12 cm rms each (tight: §9)."""
    smooth = _smooth_fields(mesh_edges())
    identity = np.einsum("ik,xy->ixky", smooth, np.eye(3)).reshape(-1, 468, 3) * _GRAPH_SD_CM
    corners = [[33, 133], [362, 263]]
    balls = np.stack([neutral[c].mean(0) + _EYEBALL_BEHIND_CM for c in corners])
    return FaceBasis(
        name=name,
        neutral=neutral,
        identity=identity,
        expression=np.zeros((0, 468, 3)),
        names=(),
        weight_sd=np.zeros(0),
        tempo_sd=np.zeros(0),
        bounded=False,
        blink=None,
        eyeballs=balls,
        eyeball_identity=np.stack([identity[:, c].mean(1) for c in corners], 1),
        focal_is_seen=False,
    )


def mesh_edges() -> Int[np.ndarray, "edges 2"]:
    """The mesh's edges, from mediapipe's own tables (irises left out)."""
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

    edges = np.array(sorted(FACEMESH_TESSELATION))
    return np.unique(np.sort(edges[(edges < 468).all(1)], 1), axis=0)


def _smooth_fields(edges: np.ndarray) -> np.ndarray:
    laplacian = np.zeros((468, 468))
    laplacian[edges[:, 0], edges[:, 1]] = laplacian[edges[:, 1], edges[:, 0]] = -1
    laplacian[np.arange(468), np.arange(468)] = -laplacian.sum(1)
    fields = np.linalg.eigh(laplacian)[1][:, 1 : _GRAPH_MODES + 1].T
    return fields * np.sqrt(468)
