"""Peaks of a curve over azimuths."""

import numpy as np
from jaxtyping import Bool, Float


def interpolate_peak(values: Float[np.ndarray, " azimuths"], top: int) -> float:
    """Offset in grid steps, -0.5 to 0.5, of the vertex of the parabola through a peak and its two neighbours."""
    if not 0 < top < len(values) - 1:
        return 0.0
    before, here, after = values[top - 1 : top + 2]
    bend = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def find_local_maxima(values: Float[np.ndarray, " azimuths"]) -> Bool[np.ndarray, " azimuths"]:
    """Where neither neighbour is higher."""
    padded = np.pad(values, 1, constant_values=-np.inf)
    return (values >= padded[:-2]) & (values >= padded[2:])
