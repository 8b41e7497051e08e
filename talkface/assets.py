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
    sha256: tuple[str, ...] = ()
    """Beginnings of the hashes of the published files, where their publishers state them; empty where they do not."""

    def publishes(self, path: Path) -> bool | None:
        """Whether this is the published file to the last bit; None where its hash is not known."""
        return sha256(path).startswith(self.sha256) if self.sha256 else None


_LPIPS = "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1"
_LPIPS_LICENCE = "BSD-2-Clause (richzhang/PerceptualSimilarity)"

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
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        "with lpips_alex the score `lpips` and the perceptual term of the fine stage",
        "BSD-3-Clause (pytorch/vision); trained on ImageNet",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        ("7be5be79", "4df8aa71"),
    ),
    Asset(
        "lpips_alex",
        "lpips_alex.pth",
        "with alexnet the score `lpips` and the perceptual term of the fine stage; without them fixed random features",
        _LPIPS_LICENCE,
        f"{_LPIPS}/alex.pth",
        ("df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",),
    ),
    Asset(
        "vgg16",
        "vgg16-397923af.pth",
        "with lpips_vgg the score `lpips_vgg` (5 s for a frame of 512 px on one CPU core)",
        "BSD-3-Clause (pytorch/vision); trained on ImageNet",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        ("397923af",),
    ),
    Asset(
        "lpips_vgg",
        "lpips_vgg.pth",
        "with vgg16 the score `lpips_vgg`",
        _LPIPS_LICENCE,
        f"{_LPIPS}/vgg.pth",
        ("a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",),
    ),
    Asset(
        "squeezenet1_1",
        "squeezenet1_1-b8a52dc0.pth",
        "with lpips_squeeze the score `lpips_squeeze`",
        "BSD-3-Clause (pytorch/vision); trained on ImageNet",
        "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        ("b8a52dc0", "f364aa15"),
    ),
    Asset(
        "lpips_squeeze",
        "lpips_squeeze.pth",
        "with squeezenet1_1 the score `lpips_squeeze`",
        _LPIPS_LICENCE,
        f"{_LPIPS}/squeeze.pth",
        ("4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",),
    ),
    Asset(
        "inception_fid",
        "pt_inception-2015-12-05-6726825d.pth",
        "the scores `fid` and `fid_192`",
        "Apache-2.0 (the network of tensorflow/models as converted by mseitzer/pytorch-fid); trained on ImageNet",
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        ("6726825d",),
    ),
    Asset(
        "syncnet",
        "syncnet_v2.model",
        "the scores `lse_c` and `lse_d` and the offset of sound and picture",
        "MIT (joonson/syncnet_python)",
        "http://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
    ),
    Asset(
        "lip_expert",
        "lipsync_expert.pth",
        "Wav2Lip's sync expert, a second opinion on lip sync",
        "non-commercial research only (Rudrabha/Wav2Lip)",
        "the links in the README of github.com/Rudrabha/Wav2Lip",
    ),
    Asset(
        "arcface",
        "arcface.onnx",
        "the score `acd`: whether it is still the same person",
        "non-commercial research only (insightface's models)",
        "the model pack buffalo_l of github.com/deepinsight/insightface (its w600k_r50.onnx)",
    ),
    Asset(
        "mouth_sync",
        "mouth_sync.safetensors",
        "the scores `lse_c@proxy` and `lse_d@proxy` by a network of your own instead of the package's",
        "yours",
        "`talkface train syncnet FOLDERS --out FILE`",
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
