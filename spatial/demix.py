"""Two dry sources on two channels: undone by a fixed 2x2 inverse at each frequency, once the mixing is known.

The mixing is known nearly: from the directions, which are a few degrees off, and the setup, which is no real head. Both
are mended by the likelihood of the demixed sources, each a Gaussian whose power differs from bin to bin: independent
vector analysis, Kim et al. (2007), by majorisation, Ono (2011). First with all frequencies in common, where a source
may only turn and be delayed; then each frequency by itself, held to what was found before.

Conventions: *spectra* are (2, times, frequencies), *planes* (4, ...) their LL, RR, Re LR*, Im LR*. A source's *angles*
(2, frequencies) are atan(right / left) and by how much right is ahead, radians: its steering vector is
(cos a, sin a e^ib). Its *place* is by what they differ from the setup's: (turn, delay) in `UNITS`.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from spatial.local_gaussian import near
from spatial.setups import Setup, steering

UNITS = (1.0, 1e-4)  # radians, seconds: errors of a few degrees are a few hundredths of either
STEP = 0.05  # in those, with which the search begins
LOW, LOWEST, HIGHEST = 2500.0, 40.0, 12_000.0  # Hz: below which phases are unambiguous; between which all is asked
TRUST = {"panned": 100.0, "binaural": 0.1}  # in what was found in common, beside each frequency's own; 3 elsewhere
SHALLOW = 1e-5  # squared determinant below which an inverse is held back

Reals = NDArray[np.float64]


def mixing(spectra: NDArray, setup: Setup, azimuths: list[float], frequencies: NDArray) -> Reals:
    """(2 sources, 2, frequencies) angles, from about where the two are."""
    asked = np.flatnonzero((frequencies > LOWEST) & (frequencies < HIGHEST))[::3]
    start = np.stack([_angles(vector) for vector in steering(setup, azimuths, frequencies).astype(complex)])
    if not len(asked):
        return start
    found = _common(_planes(spectra[:, :, asked]), start[:, :, asked], frequencies[asked], "time" in setup.cues)
    known = np.stack([_moved(angles, frequencies, place) for angles, place in zip(start, found, strict=True)])
    return _each(_planes(spectra), known, TRUST.get(setup.name, 3.0))


def images(spectra: NDArray, angles: Reals) -> NDArray[np.complex64]:
    """(2 sources, 2, times, frequencies) that sum to the spectra; where the two look alike both have half."""
    one, two = (_vector(each) for each in angles)
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


def vectors(angles: Reals) -> NDArray[np.complex64]:
    """(2 sources, frequencies, 2) steering vectors."""
    return np.stack([_vector(each).T for each in angles])


def kept(expected: NDArray, found: NDArray, frequencies: NDArray) -> float:
    """0..1: how much of its steering vectors the source has kept that has kept the most, where phases are certain."""
    certain = (frequencies > 200) & (frequencies < LOW)
    if not certain.any():
        return 1.0
    cosine = np.abs((expected.conj() * found).sum(axis=-1)) ** 2
    return float(cosine[:, certain].mean(axis=1).max())


def leak(images: NDArray) -> float:
    """dB by which the weaker source is below both together in the twentieth of all loud bins where it is weakest."""
    one, two = (np.square(np.abs(each)).sum(axis=0) for each in images)
    total = one + two
    loud = total > np.maximum(1e-3 * total.mean(axis=0), 1e-7 * total.mean())
    share = np.minimum(one, two)[loud] / total[loud]
    return 10 * float(np.log10(np.percentile(share, 5) + 1e-12)) if len(share) else 0.0


def _common(planes: NDArray, start: Reals, frequencies: NDArray, delays: bool, rounds: int = 6) -> Reals:
    """(2 sources, 1 or 2): the places that make both as independent as can be, low frequencies first."""
    places = np.zeros((2, 1 + delays))
    low = np.flatnonzero(frequencies < LOW)
    for step in range(rounds):
        use = low if step < rounds // 2 and len(low) else np.arange(len(frequencies))
        angles, f = start[:, :, use], frequencies[use]
        now = np.stack([_moved(each, f, place) for each, place in zip(angles, places, strict=True)])
        places = _searched(_weighted(planes[:, :, use], now), angles, f, places)
    return places


def _searched(weighted: list[Reals], start: Reals, frequencies: NDArray, places: Reals) -> Reals:
    """The places of least loss, by the simplex of Nelder and Mead (1965)."""

    def loss(x: Reals) -> float:
        one, two = (_moved(a, frequencies, p) for a, p in zip(start, x.reshape(places.shape), strict=True))
        both = _without(weighted[0], two) * _without(weighted[1], one)
        return float(np.mean(np.log(np.maximum(both, 1e-20) / _apart(one, two))))

    simplex = np.vstack([np.zeros(places.size), STEP * np.eye(places.size)]) + places.ravel()
    options = {"initial_simplex": simplex, "maxfev": 30 * places.size, "xatol": 1e-4, "fatol": 1e-7}
    return minimize(loss, places.ravel(), method="Nelder-Mead", options=options).x.reshape(places.shape)


def _each(planes: NDArray, known: Reals, trust: float, rounds: int = 4) -> Reals:
    """Each frequency's own angles: both filters at once, Ono (2012), with a prior that nulls what was known."""
    vectors = [_vector(each).T for each in known]  # (frequencies, 2)
    nulls = [trust * v[:, :, None] * v[:, None, :].conj() + 2e-6 * np.eye(2) for v in vectors]
    angles = known
    for _ in range(rounds):
        V, U = (_matrix(w, null) for w, null in zip(_weighted(planes, angles), nulls[::-1], strict=True))
        values, filters = np.linalg.eig(np.linalg.solve(U, V))
        order = np.argsort(values.real, axis=1)[:, None]
        rows = np.take_along_axis(filters, order, axis=2).conj().transpose(0, 2, 1)
        angles = np.stack([_angles(v) for v in np.linalg.inv(rows).transpose(2, 0, 1)])
    return angles


def _weighted(planes: NDArray, angles: Reals) -> list[Reals]:
    """Each source's (4, frequencies) of planes over its own power, averaged over time, Ono (2011), eq. 15."""
    out = []
    for other in (1, 0):
        power = np.maximum(_without(planes, angles[other][:, None]), 0) / _apart(*angles)
        power = near(power.astype(np.float32))
        power += 1e-3 * power.mean(axis=0) + 1e-9 * power.mean() + 1e-30
        out.append((planes / power).mean(axis=1).astype(float))
    return out


def _matrix(plane: Reals, null: NDArray) -> NDArray:
    """(frequencies, 2, 2) of (4, frequencies), of trace 2, with a prior."""
    scale = 2 / (plane[0] + plane[1] + 1e-30)
    cross = (plane[2] + 1j * plane[3]) * scale
    rows = np.stack([plane[0] * scale + 0j, cross, cross.conj(), plane[1] * scale + 0j], axis=-1)
    return rows.reshape(-1, 2, 2) + null


def _planes(spectra: NDArray) -> NDArray[np.float32]:
    left, right = spectra
    cross = left * right.conj()
    return np.stack([np.abs(left) ** 2, np.abs(right) ** 2, cross.real, cross.imag])


def _without(planes: NDArray, angles: NDArray) -> NDArray:
    """Power of what is left without a source of those angles: of sin(a) e^ib L - cos(a) R."""
    sin, cos = np.sin(angles[0]), np.cos(angles[0])
    cross = np.cos(angles[1]) * planes[2] - np.sin(angles[1]) * planes[3]
    return sin**2 * planes[0] + cos**2 * planes[1] - 2 * sin * cos * cross


def _apart(one: Reals, two: Reals) -> Reals:
    """The squared determinant of two steering vectors: 0 alike, 1 orthogonal."""
    a, b = np.sin(one[0]) * np.cos(two[0]), np.cos(one[0]) * np.sin(two[0])
    return a**2 + b**2 - 2 * a * b * np.cos(one[1] - two[1]) + 1e-6


def _moved(angles: Reals, frequencies: NDArray, place: Reals) -> Reals:
    ahead = 2 * np.pi * frequencies * UNITS[1] * place[1] if len(place) > 1 else 0.0
    return np.stack([angles[0] + UNITS[0] * place[0], angles[1] + ahead])


def _angles(vector: NDArray) -> Reals:
    """(..., 2) complex -> (2, ...)."""
    left, right = vector[..., 0], vector[..., 1]
    return np.stack([np.arctan2(np.abs(right), np.abs(left)), np.angle(right * left.conj())])


def _vector(angles: Reals) -> NDArray[np.complex64]:
    return np.stack([np.cos(angles[0]) + 0j, np.sin(angles[0]) * np.exp(1j * angles[1])]).astype(np.complex64)
