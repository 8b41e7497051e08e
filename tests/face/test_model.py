"""The face model's file: what is read is what was written, and broken files are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.face import model, pack


def test_the_model_is_metric_and_left_is_plus_x(ict_model) -> None:
    assert ict_model.identity.shape[0] == 100 and len(ict_model.expression_names) == 53
    eyes = ict_model.neutral[ict_model.landmarks68[[36, 45]]]
    assert eyes[0, 0] < 0 < eyes[1, 0] and 8 < np.linalg.norm(eyes[0] - eyes[1]) < 10
    wink = ict_model.expression[ict_model.expression_names.index("eyeBlink_L")]
    moving = ict_model.neutral[np.linalg.norm(wink, axis=1) > 0.3]
    assert (moving[:, 0] > 0).all()


def test_shape_is_a_sum_of_modes(ict_model) -> None:
    identity, expression = np.zeros(100), np.zeros(53)
    identity[3], expression[7] = -1.5, 0.4
    expected = ict_model.neutral - 1.5 * ict_model.identity[3] + 0.4 * ict_model.expression[7]
    np.testing.assert_allclose(ict_model.shape(identity, expression), expected, atol=1e-4)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A tiny face in the model's own folder layout."""
    monkeypatch.setattr(pack, "_VERTICES", 4)
    base = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]])
    generator = np.random.default_rng(0)
    offsets = {}

    def write(name: str, vertices: np.ndarray) -> None:
        lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
        lines += ["vt 0 0", "vt 1 0", "vt 1 1", "vt 0 1", "usemtl M_Face", "f 1/1 2/2 3/3 4/4"]
        (tmp_path / f"{name}.obj").write_text("\n".join(lines))

    write("generic_neutral_mesh", base)
    for name in [f"identity{i:03d}" for i in range(100)] + ["jawOpen"]:
        offsets[name] = generator.normal(0, 0.3, (4, 3))
        write(name, base + offsets[name])
    config = {"expressions": ["jawOpen"], "idx_to_landmark_verts": [0] * 68}
    (tmp_path / "vertex_indices.json").write_text(json.dumps(config))
    return tmp_path, base, offsets


def test_a_folder_of_obj_files_is_packed_and_read(folder, tmp_path) -> None:
    path, base, offsets = folder
    pack.pack_ict(path, tmp_path / "packed.npz")
    read = model.read_ict(tmp_path / "packed.npz")
    np.testing.assert_allclose(read.neutral, base, atol=1e-6)
    np.testing.assert_allclose(read.identity[42], offsets["identity042"], atol=1e-4)
    np.testing.assert_allclose(read.expression[0], offsets["jawOpen"], atol=1e-4)
    assert read.triangles.tolist() == [[0, 1, 2], [0, 2, 3]] and read.materials == ("M_Face",)


def test_missing_and_wrong_files_are_named(folder, tmp_path) -> None:
    path, *_ = folder
    (path / "jawOpen.obj").write_text("v 1 2 3\n")
    with pytest.raises(UserError, match=r"jawOpen.obj has 1 vertices"):
        pack.pack_ict(path, tmp_path / "packed.npz")
    assert not (tmp_path / "packed.npz").exists()
    with pytest.raises(UserError, match="vertex_indices"):
        pack.pack_ict(tmp_path / "nowhere", tmp_path / "packed.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04torn"])
def test_a_broken_model_file_is_refused(tmp_path, content) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(UserError, match="not a packed ICT face model"):
        model.read_ict(tmp_path / "bad.npz")
