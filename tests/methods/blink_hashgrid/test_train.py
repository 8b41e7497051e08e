"""What BLINK's training reads from a processed folder."""

from types import SimpleNamespace

import numpy as np
import pytest

from talkface.errors import UserError
from talkface.methods.blink_hashgrid.train import _other_units

NAMES = ("browInnerUp_L", "browInnerUp_R", "browOuterUp_L", "browDown_L", "eyeWide_L", "cheekSquint_L", "eyeSquint_L",
         "noseSneer_L", "mouthUpperUp_L", "mouthSmile_L", "mouthDimple_L", "mouthFrown_L", "mouthLowerDown_L",
         "mouthShrugLower", "mouthPucker", "mouthStretch_L", "mouthFunnel", "mouthPress_L", "jawOpen", "mouthClose",
         "mouthShrugUpper", "mouthRollLower", "mouthRollUpper")  # fmt: skip


def test_upper_face_units_are_the_fitted_expressions() -> None:
    expression = np.zeros((3, len(NAMES)), np.float32)
    expression[1, :2] = 0.4, 0.8  # AU1 is the mean of both sides
    expression[2] = np.nan
    track = SimpleNamespace(expression=expression, expression_names=NAMES)
    units = _other_units(track)
    assert units.shape == (3, 6) and units.dtype == np.float32
    assert units[1] == pytest.approx([0.6, 0, 0, 0, 0, 0], abs=1e-6)
    assert not units[2].any(), "a gap counts as rest"
    with pytest.raises(UserError, match="ARKit"):
        _other_units(SimpleNamespace(expression=np.zeros((3, 2), np.float32), expression_names=("a", "b")))
