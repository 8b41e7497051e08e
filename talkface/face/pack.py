"""The ICT face model from its own OBJ folder (`FaceXModel`), and packed into the one file that `model.ict` reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from talkface.errors import UserError

_NEUTRAL = "generic_neutral_mesh.obj"
_VERTICES = 26719
_STEPS = 32767  # deltas are kept as int16


def pack_ict(folder: Path, out: Path) -> None:
    """Pack the OBJ files of `FaceXModel` into `out` (npz, about 40 MB; read by `talkface.face.model`).

    Each shape is kept as int16 steps of its own largest offset: an error below 0.1 µm per cm of motion.

    Raises:
        UserError: a file is missing, is not an OBJ file, or has another number of vertices.
    """
    try:
        config = json.loads((folder / "vertex_indices.json").read_text())
        expressions, landmarks = list(config["expressions"]), list(config["idx_to_landmark_verts"])
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{folder} is not ICT's FaceXModel folder: vertex_indices.json: {error}") from error
    neutral, arrays = _read_mesh(folder / _NEUTRAL)
    identities = [f"identity{i:03d}" for i in range(100)]
    packed: dict[str, Any] = {"neutral": neutral, "landmarks68": np.array(landmarks, np.int32), **arrays}
    for kind, names in (("identity", identities), ("expression", expressions)):
        delta = np.empty((len(names), *neutral.shape), np.int16)
        scale = np.empty(len(names), np.float32)
        for index, name in enumerate(names):
            offset = read_vertices(folder / f"{name}.obj") - neutral
            scale[index] = max(float(np.abs(offset).max()), 1e-9) / _STEPS
            delta[index] = np.round(offset / scale[index])
        packed |= {f"{kind}_delta": delta, f"{kind}_scale": scale, f"{kind}_names": np.array(names)}
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{out.stem}.{os.getpid()}.npz")
    np.savez_compressed(beside, **packed)
    beside.replace(out)


def read_vertices(path: Path) -> Float[np.ndarray, "vertices 3"]:
    """Vertex positions of one OBJ file, cm."""
    lines = [line[2:] for line in _lines(path) if line.startswith("v ")]
    try:
        vertices = np.array(" ".join(lines).split(), np.float32).reshape(-1, 3)
    except ValueError as error:
        raise UserError(f"{path} is not an OBJ file of the ICT model: {error}") from error
    if len(vertices) != _VERTICES:
        raise UserError(f"{path} has {len(vertices)} vertices, the ICT model {_VERTICES}")
    return vertices


def _read_mesh(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Vertices, and triangles with texture coordinates and materials; quads are split in two."""
    materials: list[str] = []
    triangles, uv_triangles, uses, uv, material = [], [], [], [], 0
    for line in _lines(path):
        kind, _, rest = line.partition(" ")
        if kind == "vt":
            uv.append([float(value) for value in rest.split()[:2]])
        elif kind == "usemtl":
            if rest.strip() not in materials:
                materials.append(rest.strip())
            material = materials.index(rest.strip())
        elif kind == "f":
            corners = [[int(i or 0) - 1 for i in corner.split("/")[:2]] for corner in rest.split()]
            for second in range(1, len(corners) - 1):
                fan = [corners[0], corners[second], corners[second + 1]]
                triangles.append([c[0] for c in fan])
                uv_triangles.append([c[-1] for c in fan])
                uses.append(material)
    return read_vertices(path), {
        "triangles": np.array(triangles, np.int32),
        "uv": np.array(uv, np.float32).reshape(-1, 2),
        "uv_triangles": np.array(uv_triangles, np.int32),
        "triangle_material": np.array(uses, np.uint8),
        "materials": np.array(materials or [""]),
    }


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
