"""Sources as Gaussians with a place: the local Gaussian model of Duong, Vincent and Gribonval (2010).

Conventions: a source has a *power* v (times, frequencies) and a *covariance* R (frequencies, 2, 2) of trace one
between its channels, which says where it is and how blunt. The recording's spectra X (2, times, frequencies) have the
covariance sum of v R at each bin. All is for two channels: 2x2 matrices are inverted by hand.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial.scene import Array

FLOOR = 1e-7  # of the mean power
TAME = 1e-4  # by which covariances are kept from rank one


@dataclass(frozen=True, eq=False)
class Whitened:
    """z = S^-1 X of the model's covariance S, by its parts, and S^-1 = [[q, -c], [-c*, p]]."""

    spectra: NDArray[np.complex64]  # (2, times, frequencies) z
    p: NDArray  # (times, frequencies)
    q: NDArray
    c: NDArray

    def excess(self) -> tuple[NDArray, NDArray, NDArray]:
        """z z^H - S^-1: zero on average where the model is right; its 00, 11 and 01."""
        left, right = self.spectra
        return square(left) - self.q, square(right) - self.p, left * right.conj() + self.c


def start(vectors: NDArray, everywhere: NDArray, blunt: float) -> NDArray[np.complex64]:
    """(sources, frequencies, 2, 2): direct sound by its steering vectors and a share of sound from everywhere."""
    direct = vectors[..., :, None] * vectors[..., None, :].conj()
    return ((1 - blunt) * direct + blunt * everywhere).astype(np.complex64)


def mixedness(spectra: NDArray) -> float:
    """dB, negative: how much more than one direct sound a bin with its neighbours holds.

    The smaller eigenvalue's share of their covariance: where it is least (the twentieth of all loud bins), plus the
    average by power. Dry recordings are below -40, with some noise too, rooms of 0.3 s at -30, of 0.6 s at -22.
    """
    left, right = spectra
    cross = left * right.conj()
    one, two, real, imaginary = (near(x) for x in (square(left), square(right), cross.real, cross.imag))
    total = one + two
    gap = np.sqrt((one - two) ** 2 + 4 * (real * real + imaginary * imaginary))
    share = np.maximum(1 - gap / (total + 1e-30), 0) / 2
    loud = total > np.maximum(1e-2 * total.mean(axis=0), 1e-6 * total.mean())
    if not loud.any():
        return 0.0
    least, mean = np.percentile(share[loud], 5), share[loud] @ total[loud] / total[loud].sum()
    return 10 * float(np.log10(least + 1e-9) + np.log10(mean + 1e-9))


def whiten(spectra: NDArray, powers: Array, covariances: NDArray, floor: float) -> Whitened:
    """The recording beside what the model expects, Duong et al., eq. 29's inverse."""
    p, q = (floor + _over(powers, covariances[:, :, i, i].real) for i in (0, 1))
    c = _over(powers, covariances[:, :, 0, 1].real) + 1j * _over(powers, covariances[:, :, 0, 1].imag)
    determinant = np.maximum(p * q - square(c), 1e-6 * p * q)
    p, q, c = p / determinant, q / determinant, c / determinant
    left, right = spectra
    return Whitened(np.stack([q * left - c * right, p * right - c.conj() * left]), p, q, c)


def fit(
    spectra: NDArray, covariances: NDArray, *, rounds: int = 12, hold: int = 5, spread: tuple[int, int] = (3, 3)
) -> tuple[Array, NDArray]:
    """(powers, covariances) after so many rounds of expectation-maximisation.

    Covariances are held in the first few rounds, and found anew in every other one from then on; powers are averaged
    over a spread of (times, frequencies), odd numbers.
    """
    total = square(spectra).sum(axis=0)
    floor = FLOOR * float(total.mean()) + 1e-30
    powers = np.repeat(total[None] / np.float32(len(covariances)), len(covariances), axis=0)
    places = covariances.copy()
    for step in range(rounds):
        excess = whiten(spectra, powers, places, floor).excess()
        for k, R in enumerate(places):
            powers[k] = near(_power(powers[k], R, excess), *spread) + np.float32(floor)
        if step >= hold and (step - hold) % 2 == 0:
            excess = whiten(spectra, powers, places, floor).excess()
            for k, R in enumerate(places):
                places[k], scale = _place(powers[k], R, excess)
                powers[k] *= scale
    return powers, places


def images(spectra: NDArray, powers: Array, covariances: NDArray) -> NDArray[np.complex64]:
    """(sources, 2, times, frequencies) v R S^-1 X, the multichannel Wiener filter; what is left is shared equally."""
    floor = FLOOR * float(square(spectra).sum(axis=0).mean()) + 1e-30
    left, right = whiten(spectra, powers, covariances, floor).spectra
    out = np.empty((len(powers), *spectra.shape), np.complex64)
    for image, v, R in zip(out, powers, covariances, strict=True):
        for i in range(2):
            image[i] = v * (R[:, i, 0] * left + R[:, i, 1] * right)
    total = square(spectra).sum(axis=0)
    wild = np.max([square(image).sum(axis=0) for image in out], axis=0) > 100 * total  # two that cancel: not believed
    out[:, :, wild] = 0
    out += (spectra - out.sum(axis=0)) / np.float32(len(out))
    return out


def _power(power: Array, R: NDArray, excess: tuple[NDArray, NDArray, NDArray]) -> Array:
    """The source's expected power given the recording (eq. 32)."""
    one, two, cross = excess
    more = R[:, 0, 0].real * one + R[:, 1, 1].real * two
    more += 2 * (R[:, 0, 1].real * cross.real + R[:, 0, 1].imag * cross.imag)
    return np.maximum(power + power * power * more, 0)


def _place(power: Array, R: NDArray, excess: tuple[NDArray, NDArray, NDArray]) -> tuple[NDArray, Array]:
    """Its expected covariance over its power, averaged over time (eq. 33): of trace one, and what that takes out."""
    one, two, cross = ((power * part).mean(axis=0) for part in excess)
    inner = np.stack([np.stack([one + 0j, cross], -1), np.stack([cross.conj(), two + 0j], -1)], -2)
    found = R + R @ inner @ R
    trace = np.trace(found, axis1=1, axis2=2).real
    sound = (trace > 1e-3) & (found[:, 0, 0].real * found[:, 1, 1].real > square(found[:, 0, 1]))  # positive definite
    found, trace = np.where(sound[:, None, None], found, R), np.where(sound, trace, np.float32(1))
    return found / trace[:, None, None] + TAME * np.eye(2, dtype=np.complex64) / 2, trace


def square(x: NDArray) -> Array:
    """|x|^2, without the root."""
    return x.real * x.real + x.imag * x.imag


def _over(powers: Array, weights: NDArray) -> Array:
    """(times, frequencies): the sum over the sources."""
    out = powers[0] * weights[0]
    for power, weight in zip(powers[1:], weights[1:], strict=True):
        out += power * weight
    return out


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
