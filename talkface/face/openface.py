"""Tables as OpenFace's FeatureExtraction writes them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from jaxtyping import Float

from talkface.errors import UserError

_FPS_WITHOUT_TIMESTAMPS = 25.0


def read_table(path: Path, prefix: str) -> tuple[Float[np.ndarray, " rows"], dict[str, Float[np.ndarray, " rows"]]]:
    """Times in seconds, and the columns whose names begin with `prefix`, NaN where OpenFace failed (success 0).

    Headers may begin with spaces, as OpenFace writes them. Without a timestamp column 25 frames per second are meant.

    Raises:
        UserError: not a readable table, or a row is broken.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, skipinitialspace=True)
            header = [name.strip() for name in next(rows, [])]
            body = [row for row in rows if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a readable OpenFace table: {error}") from error

    def column(name: str) -> np.ndarray:
        place = header.index(name)
        return np.array([float(row[place]) for row in body])

    try:
        found = {name: column(name) for name in header if name.startswith(prefix)}
        times = column("timestamp") if "timestamp" in header else np.arange(len(body)) / _FPS_WITHOUT_TIMESTAMPS
        failed = column("success") <= 0 if "success" in header else np.zeros(len(body), bool)
    except (ValueError, IndexError) as error:
        raise UserError(f"{path}: a row of the table is broken: {error}") from error
    return times, {name: np.where(failed, np.nan, values) for name, values in found.items()}
