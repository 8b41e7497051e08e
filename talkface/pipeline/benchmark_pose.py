"""What the joint fit with optical flow gains over each frame's PnP with Savitzky-Golay, seen through the renderer.

The same field, landmarks, masks and steps; only the head pose of training and test frames differs. An oracle row fits
the test frames' pose to their true pixels: it says how much is left, and is no result.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from talkface.engine.run import Run, write_json
from talkface.engine.trainer import train
from talkface.face.basis import face_basis
from talkface.face.clip import fit_clip
from talkface.face.figures import pnp_smoothed
from talkface.face.look import look
from talkface.face.track import as_track
from talkface.fields.rays import Rays, camera_rays
from talkface.fields.render import render_rays
from talkface.io.store import PersonFolder
from talkface.methods.blink_hashgrid.config import preset
from talkface.methods.blink_hashgrid.field import HeadField
from talkface.methods.blink_hashgrid.field_train import FieldTraining
from talkface.progress import Progress
from talkface.types import FPS, Pose, Track

TEST_FRAMES = 24
ORACLE_STEPS, ORACLE_RAYS = 60, 1024


@dataclass(frozen=True)
class Posed:
    """A processed folder under another track."""

    folder: PersonFolder
    track: Track

    def __getattr__(self, name: str) -> Any:
        return getattr(self.folder, name)


def benchmark_pose(out: Path, folders: dict[str, Path], steps: int = 2500) -> dict[str, Any]:
    """Head PSNR (dB, mean over test frames) of every clip under either pose, and the oracle of the joint fit."""
    out.mkdir(parents=True, exist_ok=True)
    table: dict[str, Any] = {}
    for name, path in folders.items():
        kept = out / f"{name}.json"
        if not kept.is_file():
            folder = PersonFolder(path)
            poses = {"joint": folder.track.pose, "pnp_savgol": pnp_pose(folder)}
            write_json(kept, {pose: _psnr(out / f"{name}_{pose}", folder, poses[pose], steps) for pose in poses})
        table[name] = json.loads(kept.read_text())
        print(name, table[name])
    write_json(out / "table.json", table)
    return table


def pnp_pose(folder: PersonFolder) -> Pose:
    """Every frame's head pose by PnP on the fitted face, smoothed over 9 frames, in the house's convention."""
    frames = folder.manifest.frames

    def pictures() -> Any:
        with Progress("looking again", frames) as progress:
            for index in range(frames):
                yield folder.frame(index)
                progress.advance()

    sightings = look(pictures())
    fit = fit_clip(sightings, face_basis(), FPS, focal_px=folder.track.camera.focal_px, clips=folder.manifest.clips)
    return as_track(replace(fit, motion=pnp_smoothed(fit)), sightings, FPS).pose


def _psnr(run: Path, folder: PersonFolder, pose: Pose, steps: int) -> dict[str, float]:
    config = replace(preset("small").field, steps=steps, fine_steps=0)
    head = HeadField(config, folder.manifest.frames)
    training = FieldTraining(head, Posed(folder, replace(folder.track, pose=pose)))
    training.settle()
    if (run / "weights").is_dir():
        head.load_state_dict(Run(run).weights())
    else:
        stage = replace(training.coarse_stage(), validate=None, preview=None)
        opened = Run(run) if (run / "config.json").is_file() else Run.create(run, "field", {}, {})
        train(head, [stage], opened)
    test = folder.test_indices
    chosen = test[np.linspace(0, len(test) - 1, min(TEST_FRAMES, len(test))).round().astype(int)]
    scores: dict[str, list[float]] = {"head": [], "head_oracle": []}
    for frame in map(int, chosen):
        scores["head"].append(_head_psnr(training, frame))
        kept = training.data.poses[frame].copy()
        training.data.poses[frame] = _oracle(training, frame)
        scores["head_oracle"].append(_head_psnr(training, frame))
        training.data.poses[frame] = kept
    return {name: round(float(np.mean(values)), 2) for name, values in scores.items()}


def _head_psnr(training: FieldTraining, frame: int) -> float:
    rendered, truth, mask = training.compare(frame)
    return float(-10 * np.log10(((rendered - truth) ** 2)[mask].mean()))


def _oracle(training: FieldTraining, frame: int) -> Float[np.ndarray, "4 4"]:
    """The pose of a test frame fitted to its own true pixels, through the renderer, by 60 steps of Adam."""
    head, data = training.head, training.data
    picture = data.picture(frame)
    rows, columns = np.nonzero(picture.head > 127)
    generator = torch.Generator().manual_seed(frame)
    start = torch.from_numpy(data.poses[frame])
    turn = torch.zeros(3, requires_grad=True)
    move = torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.Adam([{"params": [turn], "lr": 2e-3}, {"params": [move], "lr": 2e-2}])
    with torch.no_grad():
        frozen = head.radiance.freeze(training.condition(frame))
    for _ in range(ORACLE_STEPS):
        choice = torch.randint(len(rows), (ORACLE_RAYS,), generator=generator).numpy()
        y, x = rows[choice], columns[choice]
        pixels = torch.from_numpy(np.stack([x + 0.5, y + 0.5], 1)).float()
        rays = camera_rays(pixels, data.camera, _moved(start, turn, move), head.box)
        seen = render_rays(head.radiance, head.occupancy, Rays(*rays), frozen, head.config.step_fraction, 8)
        truth = torch.from_numpy(picture.colour[y, x].T.astype(np.float32) / 255)
        plate = torch.from_numpy(picture.plate[y, x].T.astype(np.float32) / 255)
        optimiser.zero_grad()
        (seen.colour + (1 - seen.opacity) * plate - truth).square().mean().backward()
        optimiser.step()
    return _moved(start, turn, move).detach().numpy()


def _moved(start: torch.Tensor, turn: torch.Tensor, move: torch.Tensor) -> torch.Tensor:
    """head_from_camera turned about the head's origin (small rotation vector, rad) and moved (cm); differentiable."""
    x, y, z = turn
    zero = torch.zeros(())
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    rotation = torch.linalg.matrix_exp(skew)
    pose = torch.eye(4)
    pose[:3, :3] = rotation @ start[:3, :3]
    pose[:3, 3] = rotation @ start[:3, 3] + move
    return pose
