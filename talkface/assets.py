"""Files that a user may bring: face models and pretrained networks. None of them ships with the package.

Everything works without them, some of it less well; an absent file is named together with how to get it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from talkface.errors import UserError


@dataclass(frozen=True)
class Asset:
    """One optional file, and how to come by it."""

    name: str
    file: str
    gives: str
    licence: str
    get: str


ASSETS: tuple[Asset, ...] = (
    Asset(
        "ict",
        "ict_facekit_light.npz",
        "named expressions, metric head shape, ears, neck, teeth and eyes for tracking, masks and synthetic speakers",
        "MIT (USC Institute for Creative Technologies)",
        "the folder FaceXModel of github.com/ICT-VGL/ICT-FaceKit, packed with `talkface assets import ict FaceXModel`",
    ),
    Asset(
        "canonical",
        "mediapipe_canonical_face.npz",
        "the canonical 468-point face, which links detected points to the face model",
        "Apache-2.0 (google-ai-edge/mediapipe)",
        "the geometry metadata of github.com/google-ai-edge/mediapipe (vertices in landmark order)",
    ),
    Asset(
        "lpips_alex",
        "lpips_alex.safetensors",
        "the perceptual term of the fine stage; without it a fixed random-feature loss is used and named",
        "BSD-2-Clause (richzhang/PerceptualSimilarity), ImageNet-trained backbone",
        "github.com/richzhang/PerceptualSimilarity with torchvision's AlexNet",
    ),
)


def folders() -> list[Path]:
    """Where assets are looked for, first match wins.

    `TALKFACE_ASSETS` (several folders, separated as in PATH), the user's data folder, and the development data
    beside a source checkout.
    """
    given = [Path(p) for p in os.environ.get("TALKFACE_ASSETS", "").split(os.pathsep) if p]
    home = user_folder()
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "face_model"
    return [*given, home, beside]


def user_folder() -> Path:
    """Where `talkface assets import` puts what the user brings."""
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "talkface" / "assets"


def find(name: str) -> Path | None:
    """The file of an asset, or None where the user has not brought it."""
    asset = named(name)
    return next((folder / asset.file for folder in folders() if (folder / asset.file).is_file()), None)


def require(name: str) -> Path:
    """The file of an asset.

    Raises:
        UserError: it is absent; the sentence says how to get it.
    """
    path = find(name)
    if path is None:
        asset = named(name)
        raise UserError(
            f"{asset.file} is not here (it gives {asset.gives}); get it from {asset.get} "
            f"and run `talkface assets import {name} FILE`, or set TALKFACE_ASSETS to its folder"
        )
    return path


def sha256(path: Path) -> str:
    """Hash of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def named(name: str) -> Asset:
    """An asset by name.

    Raises:
        UserError: there is none of that name.
    """
    for asset in ASSETS:
        if asset.name == name:
            return asset
    raise UserError(f"no asset is called {name!r}; there are {', '.join(a.name for a in ASSETS)}")
