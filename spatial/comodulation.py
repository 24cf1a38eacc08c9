"""How much signals come and go together: much if separation left one in the other, little if they are two sounds.

Two sounds of a kind may have the same spectrum; that they are loud at the same moments at each frequency is chance.
"""

import numpy as np
from jaxtyping import Float

from spatial.spectra import stft, window_length

WINDOW = 0.06  # seconds
BANDS = 20, 50.0, 8000.0  # number, lowest and highest Hz: equally wide on the mel scale
QUIETEST = -60.0  # dB below the loudest moment, at which levels are cut off


def measure_comodulation(
    signals: Float[np.ndarray, "sources frames"], rate: int
) -> Float[np.ndarray, "sources sources"]:
    """Correlation of the levels (dB) of each two signals, about their means in each band: 1 for one signal heard twice.

    0 with a signal that is silent or constant.
    """
    changes = np.stack([_measure_changes(signal, rate) for signal in signals])  # (sources, times x bands)
    sizes = np.linalg.norm(changes, axis=1)
    return (changes @ changes.T) / np.maximum(np.outer(sizes, sizes), 1e-3)


def _measure_changes(signal: Float[np.ndarray, " frames"], rate: int) -> Float[np.ndarray, " cells"]:
    """The level of each time and band less the mean of the band, dB."""
    length = window_length(WINDOW, rate)
    spectra = stft(signal[None], length)[0, 1:-1]  # (times, frequencies); at both ends all signals fade
    number, low, high = BANDS
    edges = np.expm1(np.linspace(np.log1p(low / 700), np.log1p(min(high, rate / 2) / 700), number + 1)) * 700
    bins = np.unique(np.round(edges * length / rate).astype(int))
    power = np.square(np.abs(spectra[:, : bins[-1]]))
    bands = np.add.reduceat(power, bins[:-1], axis=1)
    levels = 10 * np.log10(np.maximum(bands / max(float(bands.max(initial=0)), 1e-20), 10 ** (QUIETEST / 10)))
    return (levels - levels.mean(axis=0)).ravel() if len(levels) else np.zeros(1, np.float32)
