"""The processed folder of one person: layout, writer, reader (docs/data-format.md)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from talkface.errors import UserError
from talkface.io.image import write_image
from talkface.io.manifest import Manifest, Ranges, read_manifest, write_manifest
from talkface.io.sound import read_speech, write_wav
from talkface.io.tracks import read_track, write_track
from talkface.io.transforms import write_transforms
from talkface.types import Speech, Track

PER_FRAME = ("frames", "matte", "seg", "torso")
SINGLE = (
    "track.npz", "audio.wav", "background.png", "background_invented.png", "au.csv",
    "transforms_train.json", "transforms_val.json",
)  # fmt: skip
MANIFEST = "manifest.json"
_NAMES = frozenset((*PER_FRAME, *SINGLE))
BACKGROUND, HEAD, NECK, TORSO = 0, 1, 2, 3
"""Labels of `PersonFolder.labels`."""


class PersonFolder:
    """Opens a finished processed folder; everything is checked before it is used.

    Convention:
        - frames are counted from 0, 25 per second, RGB, all of `manifest.size_px`; bad frames stay in place and
          `track.valid` is False there
        - opening checks the manifest and that every file is there with its size; `check` reads all and compares hashes

    Raises:
        UserError: the folder is absent, unfinished, broken, of another version or not to be believed.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise UserError(f"{self.root} does not exist; give a folder that `talkface preprocess` made")
        self.manifest: Manifest = read_manifest(self.root / MANIFEST, _NAMES)
        for name in SINGLE:
            path = self.root / name
            if not path.is_file() or path.stat().st_size != self.manifest.files[name]["bytes"]:
                raise UserError(f"{path} is missing or was changed; preprocess the video again")
        for name in PER_FRAME:
            present = {path.name for path in (self.root / name).glob("*.png")}
            missing = next((i for i in range(self.manifest.frames) if frame_name(i) not in present), None)
            if missing is not None:
                raise UserError(f"{self.root / name / frame_name(missing)} is missing; preprocess the video again")

    @cached_property
    def track(self) -> Track:
        """Face, pose and camera of every frame."""
        track = read_track(self.root / "track.npz", self.manifest.frames)
        if track.camera.size_px != self.manifest.size_px:
            raise UserError(f"{self.root / 'track.npz'} belongs to another size of frame; preprocess the video again")
        return track

    @cached_property
    def speech(self) -> Speech:
        """The recording's own sound; sample 0 is at frame 0."""
        return read_speech(self.root / "audio.wav")

    @cached_property
    def background(self) -> UInt8[np.ndarray, "height width 3"]:
        """What is behind the person."""
        return self._picture(self.root / "background.png", "RGB")

    @cached_property
    def background_invented(self) -> Bool[np.ndarray, "height width"]:
        """Where the person was never out of the way, so that `background` is a guess: never train on it."""
        return self._picture(self.root / "background_invented.png", "L") > 127

    def frame(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """The picture as recorded."""
        return self._picture(self._path("frames", index), "RGB")

    def matte(self, index: int) -> UInt8[np.ndarray, "height width"]:
        """How much of each pixel is the person, 0 to 255."""
        return self._picture(self._path("matte", index), "L")

    def labels(self, index: int) -> UInt8[np.ndarray, "height width"]:
        """0 background, 1 head, 2 neck, 3 torso."""
        labels = self._picture(self._path("seg", index), "L")
        if labels.max() > TORSO:
            raise UserError(f"{self._path('seg', index)} holds labels above {TORSO}; preprocess the video again")
        return labels

    def torso(self, index: int) -> UInt8[np.ndarray, "height width 4"]:
        """Torso and neck, continued upward under the head, with opacity."""
        return self._picture(self._path("torso", index), "RGBA")

    @cached_property
    def train_indices(self) -> Int64[np.ndarray, " train"]:
        """Valid frames to learn from."""
        return self._valid(self.manifest.split["train"])

    @cached_property
    def test_indices(self) -> Int64[np.ndarray, " test"]:
        """Valid frames held out."""
        return self._valid(self.manifest.split["test"])

    def check(self) -> None:
        """Read every file and compare its hash.

        Raises:
            UserError: a file is not what the manifest says.
        """
        for name, entry in self.manifest.files.items():
            if _entry(self.root / name, self.manifest.frames)["sha256"] != entry["sha256"]:
                raise UserError(f"{self.root / name} was changed since preprocessing; preprocess the video again")

    def _valid(self, ranges: Ranges) -> np.ndarray:
        indices = np.concatenate([np.zeros(0, np.int64), *(np.arange(a, b) for a, b in ranges)]).astype(np.int64)
        return indices[self.track.valid[indices]]

    def _path(self, folder: str, index: int) -> Path:
        if not 0 <= index < self.manifest.frames:
            raise IndexError(f"frame {index} of {self.manifest.frames}")
        return self.root / folder / frame_name(index)

    def _picture(self, path: Path, mode: str) -> np.ndarray:
        return _png(path, mode, self.manifest.size_px)


class PersonWriter:
    """Fills a processed folder; every file is written whole, and the manifest last.

    Frames may be put in any order and from several processes. A folder left unfinished can be filled further by another
    writer: `has` tells what is there.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        try:
            for name in PER_FRAME:
                (self.root / name).mkdir(parents=True, exist_ok=True)
                for torn in (self.root / name).glob(".*.part"):  # what a killed writer left
                    torn.unlink()
        except OSError as error:
            raise UserError(f"{self.root} cannot be made: {(error.strerror or '').lower()}") from error

    def has(self, what: str, index: int) -> bool:
        """Whether this picture of this frame has been put; `what` is one of `PER_FRAME`."""
        return (self.root / what / frame_name(index)).is_file()

    def frame(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """A frame that has been put."""
        return _png(self.root / "frames" / frame_name(index))

    def put_frame(self, index: int, image: UInt8[np.ndarray, "height width 3"]) -> None:
        write_image(self.root / "frames" / frame_name(index), image)

    def put_matte(self, index: int, matte: UInt8[np.ndarray, "height width"]) -> None:
        write_image(self.root / "matte" / frame_name(index), matte)

    def put_labels(self, index: int, labels: UInt8[np.ndarray, "height width"]) -> None:
        write_image(self.root / "seg" / frame_name(index), labels)

    def put_torso(self, index: int, torso: UInt8[np.ndarray, "height width 4"]) -> None:
        write_image(self.root / "torso" / frame_name(index), torso)

    def put_background(
        self, background: UInt8[np.ndarray, "height width 3"], invented: Bool[np.ndarray, "height width"]
    ) -> None:
        write_image(self.root / "background.png", background)
        write_image(self.root / "background_invented.png", np.where(invented, 255, 0).astype(np.uint8))

    def put_speech(self, speech: Speech) -> None:
        write_wav(self.root / "audio.wav", speech)

    def put_track(self, track: Track) -> None:
        write_track(self.root / "track.npz", track)

    def finish(self, manifest: Manifest) -> PersonFolder:
        """Write camera paths in AD-NeRF's form, hash everything, write the manifest and open the folder.

        `au.csv` and all the above must be in place.

        Raises:
            UserError: something is missing, the folder cannot be written, or the disk is full.
        """
        track = read_track(self.root / "track.npz", manifest.frames)
        for part, name in (("train", "transforms_train.json"), ("test", "transforms_val.json")):
            write_transforms(self.root / name, track, manifest.split[part])
        files = {name: _entry(self.root / name, manifest.frames) for name in sorted(_NAMES)}
        write_manifest(self.root / MANIFEST, replace(manifest, files=files))
        return PersonFolder(self.root)


def _png(path: Path, mode: str = "RGB", size_px: tuple[int, int] | None = None) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG",)) as picture:
            height, width = size_px or (picture.height, picture.width)
            if picture.size != (width, height) or picture.mode != mode:
                raise UserError(
                    f"{path} is {picture.mode} {picture.width}x{picture.height}, expected {mode} {width}x{height}; "
                    "preprocess the video again"
                )
            return np.array(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path} is missing or broken; preprocess the video again") from error


def frame_name(index: int) -> str:
    """File name of a frame's picture."""
    return f"{index:06d}.png"


def _entry(path: Path, frames: int) -> dict[str, str | int]:
    """Size and hash of a file, or of a folder's frames together."""
    single = path.name in SINGLE
    paths = [path] if single else [path / frame_name(index) for index in range(frames)]
    digest, size = hashlib.sha256(), 0
    for each in paths:
        try:
            content = each.read_bytes()
        except OSError as error:
            raise UserError(f"{each} is missing; preprocess the video again") from error
        digest.update(content)
        size += len(content)
    entry: dict[str, str | int] = {"bytes": size, "sha256": digest.hexdigest()}
    return entry if single else {**entry, "count": frames}
