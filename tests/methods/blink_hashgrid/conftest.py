"""Shapes of this method's networks are checked while its tests run (its light modules need no check)."""

from __future__ import annotations

from jaxtyping import install_import_hook

install_import_hook(
    [
        f"talkface.methods.blink_hashgrid.{module}"
        for module in (
            "audio_vae",
            "blink",
            "landmark_hash",
            "landmark_space",
            "landmark_transformer",
            "lip_mix",
            "motion",
            "motion_train",
        )
    ],
    "beartype.beartype",
)
