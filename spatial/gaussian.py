"""Sources as Gaussians with a place: the local Gaussian model of Duong, Vincent and Gribonval (2010).

Conventions: a source has a *power* v (times, frequencies) and a *covariance* R (frequencies, 2, 2) of trace one
between its channels, which says where it is and how blunt. The recording's spectra X (2, times, frequencies) have the
covariance sum of v R at each bin. All is for two channels: 2x2 matrices are inverted by hand.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial.scene import Array
from spatial.setups import Setup, diffuse, steering

BLUNT = 0.05  # share of a source that comes from everywhere, to begin with
FLOOR = 1e-7  # of the mean power
TAME = 1e-4  # by which covariances are kept from rank one


@dataclass(frozen=True, eq=False)
class Whitened:
    """z = S^-1 X of the model's covariance S, by its parts, and S^-1 = [[q, -c], [-c*, p]]."""

    spectra: NDArray[np.complex64]  # (2, times, frequencies) z
    p: Array  # (times, frequencies)
    q: Array
    c: NDArray[np.complex64]

    def excess(self) -> tuple[Array, Array, NDArray[np.complex64]]:
        """z z^H - S^-1: zero on average where the model is right; its 00, 11 and 01."""
        left, right = self.spectra
        return np.abs(left) ** 2 - self.q, np.abs(right) ** 2 - self.p, left * right.conj() + self.c


def start(setup: Setup, azimuths: ArrayLike, frequencies: ArrayLike, blunt: float = BLUNT) -> NDArray[np.complex64]:
    """(sources, frequencies, 2, 2): direct sound from there and a share of sound from everywhere."""
    vectors = steering(setup, azimuths, frequencies)
    direct = vectors[..., :, None] * vectors[..., None, :].conj()
    return ((1 - blunt) * direct + blunt * diffuse(setup, frequencies)).astype(np.complex64)


def whiten(spectra: NDArray, powers: Array, covariances: NDArray, floor: float) -> Whitened:
    """The recording beside what the model expects, Duong et al., eq. 29's inverse."""
    p, q = (floor + _over(powers, covariances[:, :, i, i].real) for i in (0, 1))
    c = _over(powers, covariances[:, :, 0, 1].real) + 1j * _over(powers, covariances[:, :, 0, 1].imag)
    determinant = np.maximum(p * q - np.abs(c) ** 2, 1e-6 * p * q)
    p, q, c = p / determinant, q / determinant, c / determinant
    left, right = spectra
    return Whitened(np.stack([q * left - c * right, p * right - c.conj() * left]), p, q, c)


def fit(spectra: NDArray, covariances: NDArray, *, rounds: int = 10, hold: int = 3) -> tuple[Array, NDArray]:
    """(powers, covariances) after so many rounds of expectation-maximisation; places are held in the first few."""
    total = (np.abs(spectra) ** 2).sum(axis=0)
    floor = FLOOR * float(total.mean()) + 1e-30
    powers = np.repeat(total[None] / len(covariances), len(covariances), axis=0)
    places = covariances.copy()
    for step in range(rounds):
        excess = whiten(spectra, powers, places, floor).excess()
        powers = np.stack([_power(v, R, excess) + np.float32(floor) for v, R in zip(powers, places, strict=True)])
        if step >= hold:
            excess = whiten(spectra, powers, places, floor).excess()
            for k in range(len(places)):
                places[k], scale = _place(powers[k], places[k], excess)
                powers[k] *= scale
    return powers, places


def images(spectra: NDArray, powers: Array, covariances: NDArray) -> NDArray[np.complex64]:
    """(sources, 2, times, frequencies) v R S^-1 X, the multichannel Wiener filter; what is left is shared equally."""
    floor = FLOOR * float((np.abs(spectra) ** 2).sum(axis=0).mean()) + 1e-30
    z = whiten(spectra, powers, covariances, floor).spectra
    out = np.stack([v * np.einsum("fij,jtf->itf", R, z) for v, R in zip(powers, covariances, strict=True)])
    return out + (spectra - out.sum(axis=0)) / len(out)


def _power(power: Array, R: NDArray, excess: tuple[Array, Array, NDArray]) -> Array:
    """The source's expected power given the recording (eq. 32), averaged over its neighbours."""
    one, two, cross = excess
    more = R[:, 0, 0].real * one + R[:, 1, 1].real * two
    more += 2 * (R[:, 0, 1].real * cross.real + R[:, 0, 1].imag * cross.imag)
    return near(np.maximum(power + power**2 * more, 0))


def _place(power: Array, R: NDArray, excess: tuple[Array, Array, NDArray]) -> tuple[NDArray, Array]:
    """Its expected covariance over its power, averaged over time (eq. 33): trace one, and what that takes out."""
    one, two, cross = ((power * part).mean(axis=0) for part in excess)
    inner = np.stack([np.stack([one + 0j, cross], -1), np.stack([cross.conj(), two + 0j], -1)], -2)
    found = R + R @ inner @ R
    trace = np.maximum(np.trace(found, axis1=1, axis2=2).real, 1e-3)
    return found / trace[:, None, None] + TAME * np.eye(2, dtype=np.complex64) / 2, trace


def _over(powers: Array, weights: Array) -> Array:
    return np.einsum("ktf,kf->tf", powers, weights)


def near(x: Array, times: int = 3, frequencies: int = 3) -> Array:
    """The mean of so many neighbours, odd; running sums would lose what is quiet beside what is loud."""
    for _ in range(times // 2):
        total = x.copy()
        total[1:] += x[:-1]
        total[:-1] += x[1:]
        x = total / np.float32(3)
    for _ in range(frequencies // 2):
        total = x.copy()
        total[:, 1:] += x[:, :-1]
        total[:, :-1] += x[:, 1:]
        x = total / np.float32(3)
    return x
