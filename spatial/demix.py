"""Demixing of two dry sources on two channels: a fixed 2x2 inverse at each frequency, once the mixing is known.

The directions and the setup give the mixing nearly: directions are a few degrees off, and the setup is no real head.
The likelihood of the demixed sources corrects it, each source a Gaussian whose power differs from bin to bin:
independent vector analysis, Kim et al. (2007), by majorisation, Ono (2011). First all frequencies share one offset for
each source, a turn and a delay; then each frequency is corrected by itself, with that result as a prior.

Conventions: *spectra* are (2, times, frequencies); *planes* (4, ...) are their LL, RR, Re LR*, Im LR*. A source's
*angles* (2, frequencies) are atan(right / left) and the phase by which the right channel is ahead, in radians: its
steering vector is (cos a, sin a e^ib). Its *offset* is their difference from the setup's: (turn, delay) in `UNITS`.
"""

import numpy as np
from jaxtyping import Complex, Float
from scipy.optimize import minimize

from spatial.local_gaussian import smooth
from spatial.setups import Setup, steering_vectors

UNITS = (1.0, 1e-4)  # radians, seconds: errors of a few degrees are a few hundredths of either
STEP = 0.05  # in these units: first step of the search
LOW, LOWEST, HIGHEST = 2500.0, 40.0, 12_000.0  # Hz: phases are unambiguous below; range of the frequencies used
TRUST = {"panned": 100.0, "binaural": 0.1}  # weight of the common offset beside each frequency's own; 3 elsewhere
SHALLOW = 1e-5  # added to the squared determinant of an inverse

Spectra = Complex[np.ndarray, "2 times frequencies"]
Frequencies = Float[np.ndarray, " frequencies"]
Angles = Float[np.ndarray, "2 frequencies"]
Mixing = Float[np.ndarray, "2 2 frequencies"]  # angles of both sources
Offsets = Float[np.ndarray, "2 offsets"]  # of both sources: a turn, and a delay if there is one


def estimate_mixing(spectra: Spectra, setup: Setup, azimuths: list[float], frequencies: Frequencies) -> Mixing:
    """Angles of the two sources, starting from their approximate azimuths."""
    used = np.flatnonzero((frequencies > LOWEST) & (frequencies < HIGHEST))[::3]
    vectors = steering_vectors(setup, azimuths, frequencies).astype(complex)
    start = np.stack([_to_angles(vector) for vector in vectors])
    if not len(used):
        return start
    planes = _covariance_planes(spectra[:, :, used])
    offsets = _fit_offsets(planes, start[:, :, used], frequencies[used], "time" in setup.cues)
    known = np.stack([_apply_offset(one, frequencies, offset) for one, offset in zip(start, offsets, strict=True)])
    return _refine_frequencies(_covariance_planes(spectra), known, TRUST.get(setup.name, 3.0))


def invert_mixing(spectra: Spectra, mixing: Mixing) -> Complex[np.ndarray, "2 2 times frequencies"]:
    """(2 sources, 2, times, frequencies) images that sum to the spectra; equal halves where both sources look alike."""
    one, two = (_to_vector(each) for each in mixing)
    determinant = one[0] * two[1] - two[0] * one[1]
    inverse = determinant.conj() / (np.abs(determinant) ** 2 + SHALLOW)
    left, right = spectra
    out = np.stack(
        [
            one[:, None] * (inverse * two[1] * left - inverse * two[0] * right),
            two[:, None] * (inverse * one[0] * right - inverse * one[1] * left),
        ]
    )
    return out + (spectra - out.sum(axis=0)) / 2


def to_steering_vectors(mixing: Mixing) -> Complex[np.ndarray, "2 frequencies 2"]:
    """(2 sources, frequencies, 2) steering vectors."""
    return np.stack([_to_vector(each).T for each in mixing])


def measure_similarity(
    expected: Complex[np.ndarray, "2 frequencies 2"],
    estimated: Complex[np.ndarray, "2 frequencies 2"],
    frequencies: Frequencies,
) -> float:
    """Mean squared cosine, 0 to 1, of expected and estimated steering vectors, of the source with the larger one."""
    unambiguous = (frequencies > 200) & (frequencies < LOW)
    if not unambiguous.any():
        return 1.0
    cosine = np.abs((expected.conj() * estimated).sum(axis=-1)) ** 2
    return float(cosine[:, unambiguous].mean(axis=1).max())


def measure_leakage(images: Complex[np.ndarray, "2 2 times frequencies"]) -> float:
    """Level of the weaker source relative to both together, in dB: the 5th percentile over all loud bins."""
    one, two = (np.square(np.abs(each)).sum(axis=0) for each in images)
    total = one + two
    loud = total > np.maximum(1e-3 * total.mean(axis=0), 1e-7 * total.mean())
    share = np.minimum(one, two)[loud] / total[loud]
    return 10 * float(np.log10(np.percentile(share, 5) + 1e-12)) if len(share) else 0.0


def _fit_offsets(
    planes: Float[np.ndarray, "4 times frequencies"],
    start: Mixing,
    frequencies: Frequencies,
    delays: bool,
    rounds: int = 6,
) -> Offsets:
    """The offsets, common to all frequencies, that make both sources most independent; low frequencies come first."""
    offsets = np.zeros((2, 1 + delays))
    low = np.flatnonzero(frequencies < LOW)
    for step in range(rounds):
        use = low if step < rounds // 2 and len(low) else np.arange(len(frequencies))
        mixing, f = start[:, :, use], frequencies[use]
        current = np.stack([_apply_offset(each, f, offset) for each, offset in zip(mixing, offsets, strict=True)])
        offsets = _minimise_cost(_weight_covariances(planes[:, :, use], current), mixing, f, offsets)
    return offsets


def _minimise_cost(
    weighted: list[Float[np.ndarray, "4 frequencies"]], start: Mixing, frequencies: Frequencies, offsets: Offsets
) -> Offsets:
    """The offsets of the smallest cost, by the simplex of Nelder and Mead (1965)."""

    def cost(x: Float[np.ndarray, " numbers"]) -> float:
        one, two = (_apply_offset(a, frequencies, p) for a, p in zip(start, x.reshape(offsets.shape), strict=True))
        both = _null_power(weighted[0], two) * _null_power(weighted[1], one)
        return float(np.mean(np.log(np.maximum(both, 1e-20) / _squared_determinant(one, two))))

    simplex = np.vstack([np.zeros(offsets.size), STEP * np.eye(offsets.size)]) + offsets.ravel()
    options = {"initial_simplex": simplex, "maxfev": 30 * offsets.size, "xatol": 1e-4, "fatol": 1e-7}
    return minimize(cost, offsets.ravel(), method="Nelder-Mead", options=options).x.reshape(offsets.shape)


def _refine_frequencies(
    planes: Float[np.ndarray, "4 times frequencies"], known: Mixing, trust: float, rounds: int = 4
) -> Mixing:
    """Angles for each frequency by itself: both filters at once, Ono (2012), with a prior that nulls the known ones."""
    vectors = [_to_vector(each).T for each in known]  # (frequencies, 2)
    nulls = [trust * v[:, :, None] * v[:, None, :].conj() + 2e-6 * np.eye(2) for v in vectors]
    mixing = known
    for _ in range(rounds):
        weighted = _weight_covariances(planes, mixing)
        V, U = (_to_matrix(w, null) for w, null in zip(weighted, nulls[::-1], strict=True))
        values, filters = np.linalg.eig(np.linalg.solve(U, V))
        order = np.argsort(values.real, axis=1)[:, None]
        rows = np.take_along_axis(filters, order, axis=2).conj().transpose(0, 2, 1)
        mixing = np.stack([_to_angles(v) for v in np.linalg.inv(rows).transpose(2, 0, 1)])
    return mixing


def _weight_covariances(
    planes: Float[np.ndarray, "4 times frequencies"], mixing: Mixing
) -> list[Float[np.ndarray, "4 frequencies"]]:
    """For each source the planes over its own power, averaged over time, Ono (2011), eq. 15."""
    out = []
    for other in (1, 0):
        power = np.maximum(_null_power(planes, mixing[other][:, None]), 0) / _squared_determinant(*mixing)
        power = smooth(power.astype(np.float32))
        power += 1e-3 * power.mean(axis=0) + 1e-9 * power.mean() + 1e-30
        out.append((planes / power).mean(axis=1).astype(float))
    return out


def _to_matrix(
    plane: Float[np.ndarray, "4 frequencies"], null: Complex[np.ndarray, "frequencies 2 2"]
) -> Complex[np.ndarray, "frequencies 2 2"]:
    """The covariance of trace 2, plus the prior."""
    scale = 2 / (plane[0] + plane[1] + 1e-30)
    cross = (plane[2] + 1j * plane[3]) * scale
    rows = np.stack([plane[0] * scale + 0j, cross, cross.conj(), plane[1] * scale + 0j], axis=-1)
    return rows.reshape(-1, 2, 2) + null


def _covariance_planes(spectra: Spectra) -> Float[np.ndarray, "4 times frequencies"]:
    left, right = spectra
    cross = left * right.conj()
    return np.stack([np.abs(left) ** 2, np.abs(right) ** 2, cross.real, cross.imag])


def _null_power(
    planes: Float[np.ndarray, "4 *times frequencies"], angles: Float[np.ndarray, "2 *one frequencies"]
) -> Float[np.ndarray, "*times frequencies"]:
    """Power of what is left when a source of those angles is nulled: of sin(a) e^ib L - cos(a) R."""
    sin, cos = np.sin(angles[0]), np.cos(angles[0])
    cross = np.cos(angles[1]) * planes[2] - np.sin(angles[1]) * planes[3]
    return sin**2 * planes[0] + cos**2 * planes[1] - 2 * sin * cos * cross


def _squared_determinant(one: Angles, two: Angles) -> Frequencies:
    """Of two steering vectors: 0 where they are alike, 1 where they are orthogonal."""
    a, b = np.sin(one[0]) * np.cos(two[0]), np.cos(one[0]) * np.sin(two[0])
    return a**2 + b**2 - 2 * a * b * np.cos(one[1] - two[1]) + 1e-6


def _apply_offset(angles: Angles, frequencies: Frequencies, offset: Float[np.ndarray, " offsets"]) -> Angles:
    ahead = 2 * np.pi * frequencies * UNITS[1] * offset[1] if len(offset) > 1 else 0.0
    return np.stack([angles[0] + UNITS[0] * offset[0], angles[1] + ahead])


def _to_angles(vector: Complex[np.ndarray, "frequencies 2"]) -> Angles:
    left, right = vector[..., 0], vector[..., 1]
    return np.stack([np.arctan2(np.abs(right), np.abs(left)), np.angle(right * left.conj())])


def _to_vector(angles: Angles) -> Complex[np.ndarray, "2 frequencies"]:
    return np.stack([np.cos(angles[0]) + 0j, np.sin(angles[0]) * np.exp(1j * angles[1])]).astype(np.complex64)
