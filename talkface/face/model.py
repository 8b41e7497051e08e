"""The morphable face: a neutral head with identity and expression modes, read from the user's copy of the ICT model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Int

from talkface import assets
from talkface.errors import UserError

PARTS = {
    "face": slice(0, 9409),
    "head_and_neck": slice(9409, 11248),
    "mouth_socket": slice(11248, 13294),
    "eye_sockets": slice(13294, 14062),
    "gums_and_tongue": slice(14062, 17039),
    "teeth": slice(17039, 21451),
    "eyeballs": slice(21451, 24591),
    "lashes": slice(24591, 26719),
}
"""Vertex ranges of the ICT model's parts."""


@dataclass(frozen=True, eq=False)
class FaceModel:
    """``shape = neutral + sum_i a_i identity_i + sum_j w_j expression_j``, in the head frame, cm."""

    name: str
    neutral: Float[np.ndarray, "vertices 3"]
    triangles: Int[np.ndarray, "triangles 3"]
    triangle_material: Int[np.ndarray, " triangles"]
    materials: tuple[str, ...]
    identity: Float[np.ndarray, "identity vertices 3"]
    """Unit-variance modes."""
    expression: Float[np.ndarray, "expression vertices 3"]
    """Weights lie in [0, 1]."""
    expression_names: tuple[str, ...]
    landmarks68: Int[np.ndarray, "68"]
    """Vertex of each iBUG landmark."""

    def shape(
        self,
        identity: Float[np.ndarray, " identity"],
        expression: Float[np.ndarray, " expression"],
    ) -> Float[np.ndarray, "vertices 3"]:
        """Vertices of one person with one expression."""
        return (
            self.neutral + np.tensordot(identity, self.identity, 1) + np.tensordot(expression, self.expression, 1)
        ).astype(np.float32)


@lru_cache(maxsize=1)
def ict() -> FaceModel:
    """The user's ICT Face Model Light (about 70 MB in memory, read once).

    Raises:
        UserError: the file is absent or is not that model.
    """
    return read_ict(assets.require("ict"))


def read_ict(path: Path) -> FaceModel:
    """A packed ICT model.

    Raises:
        UserError: the file is not one.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            identity = (
                data["identity_delta"].astype(np.float32) * data["identity_scale"].astype(np.float32)[:, None, None]
            )
            expression = (
                data["expression_delta"].astype(np.float32) * data["expression_scale"].astype(np.float32)[:, None, None]
            )
            return FaceModel(
                name="ict",
                neutral=data["neutral"].astype(np.float32),
                triangles=data["triangles"].astype(np.int64),
                triangle_material=data["triangle_material"].astype(np.int64),
                materials=tuple(str(m) for m in data["materials"]),
                identity=identity,
                expression=expression,
                expression_names=tuple(str(n) for n in data["expression_names"]),
                landmarks68=data["landmarks68"].astype(np.int64),
            )
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise UserError(f"{path} is not a packed ICT face model: {error}") from error
