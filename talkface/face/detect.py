"""Face points in pictures: mediapipe's 478-point mesh, followed from frame to frame, and the 68 iBUG points in it."""

from __future__ import annotations

from types import TracebackType

import numpy as np
from jaxtyping import Float, UInt8

from talkface.face.hush import hushed, load_mediapipe

LANDMARKS_68: tuple[int, ...] = (
    # jaw, subject's right ear to left ear
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    # brows, right then left
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    # nose ridge, then base
    168, 197, 5, 4, 98, 97, 2, 326, 327,
    # right eye, left eye
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    # outer lips, inner lips
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""Mesh point of each iBUG landmark (our choice: the nearest mesh point to each definition)."""

FACE_OVAL: tuple[int, ...] = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""Mesh points on the outline: they follow the silhouette, so they slide over the skin when the head turns."""

IRISES: tuple[int, int] = (468, 473)
"""Iris centres, subject's right and left."""

_SECOND_FACE_EVERY_FRAMES = 5
_SECOND_FACE_SIZE = 0.4


class Detector:
    """Finds the mesh of one face in frame after frame; a context manager.

    One face is followed (mediapipe's tracking mode: steadier than detecting anew, 0.17 against 0.64 % noise). Every
    fifth frame a separate detector counts faces, which is four times cheaper than following two; a second face
    counts when it is at least 0.4 times as wide as the first (our choice: smaller ones are pictures on walls).

    Raises:
        UserError: mediapipe is not installed.
    """

    def __init__(self) -> None:
        solutions = load_mediapipe().solutions
        with hushed():  # the notes come with the first picture
            self._mesh = solutions.face_mesh.FaceMesh(
                static_image_mode=False,
                max_num_faces=1,
                refine_landmarks=True,
                min_detection_confidence=0.5,
                min_tracking_confidence=0.5,
            )
            self._counter = solutions.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.6)
            for network in (self._mesh, self._counter):
                network.process(np.zeros((64, 64, 3), np.uint8))
        self._seen = 0
        self.several_faces = False
        """Whether the latest count found a second face."""

    def detect(self, frame: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "478 3"] | None:
        """Mesh of the face: x, y in px (corner convention), z relative in px, smaller is nearer; None without face."""
        frame = np.ascontiguousarray(frame)
        if self._seen % _SECOND_FACE_EVERY_FRAMES == 0:
            self.several_faces = self._count(frame)
        self._seen += 1
        faces = self._mesh.process(frame).multi_face_landmarks
        if not faces:
            return None
        height, width = frame.shape[:2]
        points = np.array([(p.x, p.y, p.z) for p in faces[0].landmark])
        return points * (width, height, width)

    def _count(self, frame: np.ndarray) -> bool:
        found = self._counter.process(frame).detections or ()
        widths = sorted((d.location_data.relative_bounding_box.width for d in found), reverse=True)
        return len(widths) > 1 and widths[1] > _SECOND_FACE_SIZE * widths[0]

    def close(self) -> None:
        """Free the networks."""
        self._mesh.close()
        self._counter.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
