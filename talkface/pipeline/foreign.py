"""Folders that the tools of AD-NeRF, RAD-NeRF and ER-NeRF made, brought into ours. Nothing in them is executed.

Read: `ori_imgs` (or `gt_imgs`, `com_imgs`) with their `.lms`, `parsing`, `torso_imgs`, `bc.jpg`, `aud.wav`, `au.csv`,
`transforms_train.json` and `transforms_val.json`. Left alone: pickled tensors such as `track_params.pt`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from talkface.errors import UserError
from talkface.face.basis import face_basis
from talkface.face.detect import LANDMARKS_68
from talkface.face.eyes import lid_closure, read_openface, write_openface
from talkface.geometry import project, rotation_from_vector, to_world
from talkface.io.image import read_image
from talkface.io.manifest import Manifest, Ranges, split_frames
from talkface.io.provenance import file_sha256
from talkface.io.sound import read_speech
from talkface.io.store import NECK, TORSO, PersonFolder, PersonWriter
from talkface.io.transforms import pose_over, read_transforms
from talkface.pipeline.recordings import joined_speech
from talkface.pipeline.steps import Steps
from talkface.progress import track_progress
from talkface.types import FPS, Camera, Pose, Track

_FRAMES = ("ori_imgs", "gt_imgs", "com_imgs")
_COLOURS = np.array([(255, 255, 255), (0, 0, 255), (0, 255, 0), (255, 0, 0)])
"""RGB of background, head, neck and torso in their parsing pictures [AD-NeRF face_parsing/test.py, read as RGB]."""
_STILL = tuple(range(27, 48))
"""Nose and eyes: what moves least within the head."""
_FITTED_FRAMES = 200


def is_adnerf(folder: Path) -> bool:
    """Whether this is such a folder."""
    return (folder / "transforms_train.json").is_file() and any((folder / name).is_dir() for name in _FRAMES)


def import_adnerf(folder: Path, out: Path) -> PersonFolder:
    """Make our processed folder from one of theirs.

    Convention:
        - frames, masks, torso, background, poses, focal length, split and AU45 are theirs
        - pose-free landmarks: an average face is placed in their head frame once, by its projections through their
          poses; each frame's landmarks are then moved onto it parallel to the picture (tracking.md 9). Centimetres come
          from the average face's size
        - not in their folders: 478 points (NaN), gaze (0), named expressions (none)

    Raises:
        UserError: something is missing or broken; the sentence names the file.
    """
    steps = Steps(out, folder.name, file_sha256(folder / "transforms_train.json"))
    if steps.result("all") is not None and (out / "manifest.json").is_file():
        return PersonFolder(out)
    images = _numbered(folder)
    frames, size_px = len(images), read_image(images[0]).shape[:2]
    height, width = int(size_px[0]), int(size_px[1])
    camera, train = read_transforms(folder / "transforms_train.json", (height, width))
    _, test = read_transforms(folder / "transforms_val.json", (height, width))
    poses = {index: pose for index, pose in {**train, **test}.items() if index < frames}
    if not poses:
        raise UserError(f"{folder / 'transforms_train.json'} names no frame of {images[0].parent}")
    landmarks_px = np.stack([_landmarks(path.with_suffix(".lms")) for path in images])
    if images[0].parent.name != "ori_imgs":
        landmarks_px = np.stack([_landmarks(folder / "ori_imgs" / f"{path.stem}.lms") for path in images])
    track = _track(folder, camera, pose_over(poses, frames), landmarks_px, set(poses))
    speech = read_speech(folder / "aud.wav")

    steps.save()
    writer = PersonWriter(out)
    background = _same_size(folder / "bc.jpg", (height, width))
    never_seen = np.ones((height, width), bool)
    for index, path in enumerate(track_progress(images, "frames")):
        image = _same_size(path, (height, width))
        labels = _labels(folder / "parsing" / f"{path.stem}.png", (height, width))
        never_seen &= labels > 0
        writer.put_frame(index, image)
        writer.put_labels(index, labels)
        writer.put_matte(index, np.where(labels > 0, 255, 0).astype(np.uint8))
        writer.put_torso(index, _torso(folder / "torso_imgs" / f"{path.stem}.png", image, labels))
    writer.put_background(background, never_seen)
    writer.put_speech(joined_speech([speech], [(0, frames)]))
    writer.put_track(track)
    write_openface(out / "au.csv", np.where(track.valid, track.closure.mean(1), np.nan), FPS)
    (out / "report.html").unlink(missing_ok=True)
    person = writer.finish(
        Manifest(
            fps=FPS,
            size_px=(height, width),
            frames=frames,
            clips=((0, frames),),
            split=_split(frames, sorted(train), sorted(test)),
            providers={"all": "AD-NeRF family of tools", "landmarks": "their .lms", "face model": "average"},
            source=folder.name,
            facts={"valid_frames": int(track.valid.sum())},
        )
    )
    steps.finish("all")
    return person


def _numbered(folder: Path) -> list[Path]:
    """Pictures 0, 1, 2, ... of the first frame folder that has any."""
    for name in _FRAMES:
        found = {p.stem: p for p in (folder / name).glob("*") if p.suffix in (".jpg", ".png") and p.stem.isdigit()}
        if found:
            missing = next((i for i in range(len(found)) if str(i) not in found), None)
            if missing is not None:
                raise UserError(f"{folder / name} has {len(found)} pictures but not number {missing}")
            return [found[str(i)] for i in range(len(found))]
    raise UserError(f"{folder} holds no frames (0.jpg, 1.jpg, ... in {', '.join(_FRAMES)})")


def _landmarks(path: Path) -> np.ndarray:
    """[68, 2] px; NaN where their detector found nothing and wrote no file."""
    if not path.is_file():
        return np.full((68, 2), np.nan)
    try:
        points = np.array(path.read_text().split(), float).reshape(-1, 2)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a file of 68 landmarks (x y a line)") from error
    if points.shape != (68, 2):
        raise UserError(f"{path} has {len(points)} landmarks, expected 68")
    return points


def _labels(path: Path, size_px: tuple[int, int]) -> np.ndarray:
    picture = _same_size(path, size_px).astype(int)
    distance = np.abs(picture[:, :, None] - _COLOURS).sum(-1)
    return distance.argmin(-1).astype(np.uint8)


def _torso(path: Path, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Their torso picture; without one, what is seen of neck and torso."""
    if path.is_file():
        picture = read_image(path, alpha=True)
        if picture.shape[:2] == labels.shape:
            return picture
        raise UserError(f"{path} has another size than the frames")
    return np.dstack([image, np.where((labels == NECK) | (labels == TORSO), 255, 0).astype(np.uint8)])


def _same_size(path: Path, size_px: tuple[int, int]) -> np.ndarray:
    picture = read_image(path)
    if picture.shape[:2] != size_px:
        raise UserError(f"{path} is {picture.shape[1]}x{picture.shape[0]}, the frames {size_px[1]}x{size_px[0]}")
    return picture


def _split(frames: int, train: list[int], test: list[int]) -> dict[str, Ranges]:
    """Their split, as ranges; ours where theirs is none."""
    if not train or not test or not train[-1] < test[0] < frames:
        return split_frames(frames, ((0, frames),))
    return {"train": ((0, test[0]),), "test": ((test[0], frames),)}


def _track(folder: Path, camera: Camera, theirs: Pose, landmarks_px: np.ndarray, posed: set[int]) -> Track:
    frames = len(landmarks_px)
    valid = np.isfinite(landmarks_px).all((1, 2)) & np.isin(np.arange(frames), sorted(posed))
    if not valid.any():
        raise UserError(f"{folder} has no frame with both landmarks (.lms) and a pose")
    face = face_basis("average").neutral[list(LANDMARKS_68)]
    pose = _placed(face, camera, theirs, landmarks_px, valid)
    world = to_world(np.repeat(face[None], frames, 0), pose)
    gap = np.nan_to_num(landmarks_px) - project(world, camera)
    lift = np.concatenate([gap * (1, -1) * -world[..., 2:] / camera.focal_px, np.zeros((frames, 68, 1))], -1)
    landmarks = face + lift @ pose.rotation
    eyes_px = np.linalg.norm(landmarks_px[:, 36] - landmarks_px[:, 45], axis=-1)
    unknown = ~np.isfinite(landmarks_px).all((1, 2))
    landmarks[unknown] = np.nan
    rigid = np.linalg.norm(gap[:, list(_STILL)], axis=-1)
    return Track(
        fps=FPS,
        camera=camera,
        pose=pose,
        points_px=np.full((frames, 478, 3), np.nan),
        landmarks_px=landmarks_px,
        landmarks=landmarks,
        closure=_closure(folder / "au.csv", landmarks_px),
        gaze=np.where(unknown[:, None], np.nan, np.zeros((frames, 2))),
        identity=np.zeros(0),
        expression=np.zeros((frames, 0)),
        expression_names=(),
        face_model="average",
        residual=np.where(unknown, np.nan, np.median(rigid, 1)) / (0.7 * eyes_px),
        valid=valid,
        reason=tuple("" if good else "no face" for good in valid),
    )


def _placed(face: np.ndarray, camera: Camera, theirs: Pose, landmarks_px: np.ndarray, valid: np.ndarray) -> Pose:
    """Their poses, told of our head frame and in centimetres: one turn, shift and scale for the whole clip."""
    from scipy.optimize import least_squares

    known = np.flatnonzero(valid)
    some = known[np.linspace(0, len(known) - 1, min(_FITTED_FRAMES, len(known))).astype(int)]
    still = list(_STILL)

    def moved(unknown: np.ndarray) -> Pose:
        turn, shift, scale = rotation_from_vector(unknown[:3]), unknown[3:6], np.exp(unknown[6])
        return Pose(theirs.rotation @ turn, (theirs.rotation @ shift + theirs.translation) / scale)

    def error(unknown: np.ndarray) -> np.ndarray:
        pose = moved(unknown)[some]
        world = to_world(np.repeat(face[None, still], len(some), 0), pose)
        world[..., 2] = np.minimum(world[..., 2], -1.0)  # in front of the camera, also on the way to the answer
        return ((project(world, camera) - landmarks_px[some][:, still]) / camera.size_px[1]).ravel()

    return moved(
        least_squares(error, np.zeros(7), loss="soft_l1", f_scale=0.01, x_scale=(0.1, 0.1, 0.1, 1, 1, 1, 0.1)).x
    )


def _closure(path: Path, landmarks_px: np.ndarray) -> np.ndarray:
    """Their AU45; without a table, from the lids' landmarks."""
    if path.is_file():
        _, closure = read_openface(path)
        if len(closure) < len(landmarks_px) - 1:
            raise UserError(f"{path} has {len(closure)} rows for {len(landmarks_px)} frames")
        closure = np.append(closure, closure[-1:])[: len(landmarks_px)]
        return np.repeat(closure[:, None], 2, 1)
    eyes = [landmarks_px[:, start : start + 6] for start in (36, 42)]
    gaps = [np.linalg.norm(eye[:, [1, 2]] - eye[:, [5, 4]], axis=-1).mean(1) for eye in eyes]
    widths = [np.linalg.norm(eye[:, 0] - eye[:, 3], axis=-1) for eye in eyes]
    return lid_closure(np.stack([gap / width for gap, width in zip(gaps, widths, strict=True)], -1))


__all__ = ["import_adnerf", "is_adnerf"]
