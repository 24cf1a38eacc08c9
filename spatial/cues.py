"""What a recording shows of its stereo setup: the input of the network in `spatial.recognise`.

How well each setup explains the recording; how levels and phases of the channels go together in each band; at which
delays the channels agree (generalised cross-correlation with phase transform, Knapp and Carter 1976); and what the
sound is like between onsets, where reverberation remains.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.fft import irfft

from spatial import mixture
from spatial.evidence import BANDS, Evidence, diffuse_density, steering_distance
from spatial.setups import Setup, make_setup

SPACINGS = (0.2, 0.35, 0.5, 0.7, 1.0, 2.0)  # metres that are tried
MOST = 2000  # bins for the likelihoods
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
NUM_BANDS, LEVELS, PHASES = 12, 7, 8  # of the joint histogram
BLOCK = 0.15  # seconds over which delays are gathered
FINE, MIDDLE, COARSE = 0.05, 0.25, 1.0  # milliseconds: cells of delays up to 1, 3 and 20 ms


def candidate_setups() -> list[Setup]:
    """The setups that are tried."""
    return [make_setup(n) for n in ("panned", "xy", "ms", "ortf", "nos", "binaural")] + [
        make_setup("spaced", spacing=s) for s in SPACINGS
    ]


def compute_features(evidence: Evidence) -> Float[np.ndarray, " features"]:
    """All cues in one row."""
    likelihoods = compute_likelihoods(evidence.thin_out(MOST))
    share = evidence.weight / evidence.weight.sum()
    order = np.argsort(evidence.stokes[:, 0])
    levels = np.interp(QUANTILES, np.cumsum(share[order]), evidence.stokes[order, 0])
    relative = likelihoods[::2] - likelihoods[::2].max()
    parts = [
        likelihoods,
        relative,
        levels,
        np.abs(levels),
        summarise_bands(evidence, share),
        evidence.ringing.ravel(),
        count_levels_and_phases(evidence),
        correlate_delays(evidence),
    ]
    return np.concatenate(parts).astype(np.float32)


def compute_likelihoods(evidence: Evidence) -> Float[np.ndarray, " likelihoods"]:
    """For each candidate in turn: mean log density of the fitted mixture, and its share of diffuse sound."""
    values = []
    for setup in candidate_setups():
        azimuths = np.linspace(-setup.limit, setup.limit, 61).astype(np.float32)
        levels = mixture.quantise(steering_distance(evidence, setup, azimuths))
        fitted = mixture.fit(levels, evidence.weight, diffuse_density(evidence, setup), rounds=9)
        values += [fitted.likelihood, fitted.diffuse]
    return np.array(values, np.float32)


def summarise_bands(evidence: Evidence, share: Float[np.ndarray, " bins"]) -> Float[np.ndarray, " numbers"]:
    """In each of `BANDS` the mean and deviation of the Stokes parameters, and the mean coherence."""
    band = np.searchsorted(BANDS[1:-1], evidence.frequencies[evidence.index])
    out = []
    for number in range(len(BANDS) - 1):
        here = band == number
        part = share[here] / (share[here].sum() + 1e-9)
        points = evidence.stokes[here]
        mean = part @ points
        out += [*mean, *np.sqrt(np.maximum(part @ points**2 - mean**2, 0)), part @ (points**2).sum(axis=1)]
    return np.array(out)


def count_levels_and_phases(evidence: Evidence) -> Float[np.ndarray, " cells"]:
    """Square roots of the joint histogram of level difference and phase of coherent bins, in each of a dozen bands."""
    edges = np.geomspace(evidence.frequencies[0] * 0.99 + 1e-6, evidence.frequencies[-1] + 1, NUM_BANDS + 1)
    band = np.clip(np.searchsorted(edges, evidence.frequencies[evidence.index]) - 1, 0, NUM_BANDS - 1)
    length = np.linalg.norm(evidence.stokes, axis=1)
    level = np.clip(((evidence.stokes[:, 0] / (length + 1e-9) + 1) / 2 * LEVELS).astype(int), 0, LEVELS - 1)
    turn = np.arctan2(evidence.stokes[:, 2], evidence.stokes[:, 1]) / (2 * np.pi) + 0.5 / PHASES
    phase = np.floor(turn * PHASES).astype(int) % PHASES
    cell = (band * LEVELS + level) * PHASES + phase
    counts = np.bincount(cell, evidence.weight * length**4, NUM_BANDS * LEVELS * PHASES).reshape(NUM_BANDS, -1)
    return np.sqrt(counts / (counts.sum(axis=1, keepdims=True) + 1e-9)).ravel()


def delay_cells() -> Float[np.ndarray, " edges"]:
    """Edges of cells of delays in milliseconds, finer near zero."""
    half = [*np.arange(FINE / 2, 1.0, FINE), *np.arange(1.0, 3.0, MIDDLE), *np.arange(3.0, 20.5, COARSE)]
    return np.array([-each for each in half[::-1]] + half)


def correlate_delays(evidence: Evidence) -> Float[np.ndarray, " cells"]:
    """For each cell of delays the highest correlation, in the mean block and in the best one."""
    step = float(evidence.frequencies[1] - evidence.frequencies[0]) if len(evidence.frequencies) > 1 else 20.0
    row = np.rint(evidence.frequencies[evidence.index] / step).astype(int)
    block = (evidence.times / BLOCK).astype(int)
    points = max(int(row.max()) + 1, int(50_000 / step) // 2)  # delays in steps of about 0.02 ms
    shape = int(block.max()) + 1, points
    phase = np.arctan2(evidence.stokes[:, 2], evidence.stokes[:, 1])
    cell = block * points + row
    real, imaginary = (np.bincount(cell, evidence.weight * wave(phase), shape[0] * points) for wave in (np.cos, np.sin))
    total = np.bincount(block, evidence.weight, shape[0])[:, None]
    spectra = (real + 1j * imaginary).reshape(shape)
    size = 2 * (points - 1)
    curves = irfft(spectra, axis=1) * size / 2 / (total + 0.3 * total.max() + 1e-9)
    milliseconds = 1e3 * np.arange(size) / (step * size)
    milliseconds = np.where(milliseconds > 500 / step, milliseconds - 1e3 / step, milliseconds)
    edges = delay_cells()
    inside = (milliseconds > edges[0]) & (milliseconds < edges[-1])
    order = np.argsort(milliseconds[inside])
    at, curves = milliseconds[inside][order], curves[:, inside][:, order]
    starts = np.searchsorted(at, edges[:-1]).clip(0, len(at) - 1)
    return np.concatenate([_highest(curves.mean(axis=0), starts), _highest(curves.max(axis=0), starts)])


def _highest(curve: Float[np.ndarray, " delays"], starts: Int[np.ndarray, " cells"]) -> Float[np.ndarray, " cells"]:
    """The maximum of the curve from each start to the next."""
    return np.maximum.reduceat(curve, starts)
