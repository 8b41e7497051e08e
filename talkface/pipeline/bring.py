"""`talkface assets import`: put a file that the user brought where the toolkit looks for it."""

from __future__ import annotations

import shutil
from pathlib import Path

from talkface import assets
from talkface.errors import UserError
from talkface.nets.foreign import LIMIT_BYTES


def bring(name: str, source: Path) -> Path:
    """Copy an asset into the user's data folder (the ICT model also from its folder FaceXModel), whole or not at all.

    Returns:
        Where it is now.

    Raises:
        UserError: no such asset or file, or it is not what its name says.
    """
    asset = assets.named(name)
    if not source.exists():
        raise UserError(f"{source} does not exist; {asset.file} is to be had from {asset.get}")
    if source.stat().st_size > LIMIT_BYTES:
        raise UserError(f"{source} is larger than anything that talkface can use, and was not copied")
    target = assets.user_folder() / asset.file
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new.npz" if target.suffix == ".npz" else f".{target.name}.new")
    try:
        if name == "ict" and source.is_dir():
            from talkface.face.pack import pack_ict

            pack_ict(source, fresh)
            _check(name, fresh)
        else:
            _check(name, source)
            shutil.copyfile(source, fresh)
        fresh.replace(target)
    except OSError as error:
        raise UserError(f"cannot bring {source}: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return target


def _check(name: str, path: Path) -> None:
    """Open it the way the toolkit will."""
    if name == "ict":
        from talkface.face.model import read_ict

        read_ict(path)
    elif name == "canonical":
        from talkface.face.basis import read_canonical

        read_canonical(path)
    elif name == "arcface":
        from talkface.metrics.identity import ArcFace

        ArcFace(path)
    else:
        _check_network(name, path)


def _check_network(name: str, path: Path) -> None:
    from talkface.nets.inception import Inception
    from talkface.nets.lip_expert import LipExpert
    from talkface.nets.lpips import BACKBONES, Lpips
    from talkface.nets.mouth_sync import MouthSync
    from talkface.nets.syncnet import SyncNet

    for backbone, files in BACKBONES.items():
        if name == files.classifier:
            Lpips(backbone).read_classifier(path)
        elif name == files.layers:
            Lpips(backbone).read_layers(path)
    networks = ("inception_fid", Inception), ("syncnet", SyncNet), ("lip_expert", LipExpert), ("mouth_sync", MouthSync)
    for network, whole in networks:
        if name == network:
            whole.load(path)
