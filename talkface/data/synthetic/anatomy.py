"""What a drawn head is made of: a face model, the tissues of its triangles, and where its eyes are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from talkface.face.model import PARTS, FaceModel, ict

SKIN, GUMS, TEETH, MOUTH, SOCKET = range(5)
"""Tissues of triangles: skin with lips, gums with tongue, teeth, inside of the mouth, eye sockets."""
AXIS_Z_CM = 1.5
"""The vertical axis of the skin's cylinder, through the middle of the skull."""
_NECK_RADIUS_CM = 5.2


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A face model cut down to what can be seen, with its tissues."""

    model: FaceModel
    tissue: Int[np.ndarray, " triangles"]
    eye_vertices: tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]
    """Vertices whose mean is the centre of the right and of the left eyeball."""
    eye_radius: float
    lids: Int[np.ndarray, " lids"]
    """Vertices that must not sink into the eyeballs."""


def ict_anatomy() -> Anatomy:
    """The user's ICT model without what is never seen: lashes, tear film, eyeballs (ours turn), back of the mouth.

    Raises:
        UserError: the model is absent.
    """
    whole = ict()
    names = np.array(whole.materials)[whole.triangle_material]
    centre = whole.neutral[whole.triangles].mean(1)
    highest = whole.triangles.max(1)

    def within(part: str) -> np.ndarray:
        return (highest >= PARTS[part].start) & (highest < PARTS[part].stop)

    tissue = np.full(len(names), -1)
    tissue[(names == "M_Face") | within("head_and_neck")] = SKIN
    tissue[(names == "M_GumsTongue") & (centre[:, 2] > 5.5)] = GUMS
    tissue[(names == "M_Teeth") & (centre[:, 2] > 7.0)] = TEETH
    tissue[within("mouth_socket")] = MOUTH
    tissue[within("eye_sockets")] = SOCKET
    tissue[(tissue == SKIN) & (centre[:, 1] < -18)] = -1
    kept = tissue >= 0
    eyes = np.arange(PARTS["eyeballs"].start, PARTS["eyeballs"].stop)
    right, left = (eyes[whole.neutral[eyes, 0] * side > 0] for side in (-1, 1))

    used = np.unique(np.concatenate([whole.triangles[kept].ravel(), eyes, whole.landmarks68]))
    new = np.full(len(whole.neutral), -1)
    new[used] = np.arange(len(used))
    neutral = whole.neutral[used].copy()
    # The model's neck widens into shoulders; ours comes with clothes, so the neck goes straight down into the collar.
    radius = np.hypot(neutral[:, 0], neutral[:, 2] + 0.5)
    low = neutral[:, 1] < -8
    squeeze = np.where(low, np.minimum(1, _NECK_RADIUS_CM / radius.clip(1e-6)), 1)
    blend = ((-8 - neutral[:, 1]) / 3).clip(0, 1)
    squeeze = 1 + (squeeze - 1) * blend
    neutral[:, 0] *= squeeze
    neutral[:, 2] = (neutral[:, 2] + 0.5) * squeeze - 0.5
    # Its lower teeth stand so high that they fill a speaking mouth; real ones hide behind the lower lip.
    inside = np.unique(new[whole.triangles[np.isin(tissue, (GUMS, TEETH))]])
    jaw = whole.expression[whole.expression_names.index("jawOpen"), used[inside], 1] < -0.5
    neutral[inside[jaw], 1] -= 0.45
    neutral[inside[jaw], 2] -= 0.25
    neutral[inside[~jaw], 1] -= 0.12
    model = FaceModel(
        name="ict",
        neutral=neutral,
        triangles=new[whole.triangles[kept]],
        triangle_material=whole.triangle_material[kept],
        materials=whole.materials,
        identity=whole.identity[:, used],
        expression=whole.expression[:, used],
        expression_names=whole.expression_names,
        landmarks68=new[whole.landmarks68],
    )
    sockets = new[np.arange(PARTS["face"].start, PARTS["face"].stop)]
    sockets = sockets[sockets >= 0]
    return Anatomy(
        model, tissue[kept], (new[right], new[left]), 1.47, _near_eyes(model, sockets, (new[right], new[left]))
    )


def _near_eyes(
    model: FaceModel, candidates: Int[np.ndarray, " n"], eyes: tuple[np.ndarray, np.ndarray]
) -> Int[np.ndarray, " lids"]:
    centres = np.stack([model.neutral[e].mean(0) for e in eyes])
    distance = np.linalg.norm(model.neutral[candidates][:, None] - centres, axis=-1).min(1)
    return candidates[distance < 2.6]
