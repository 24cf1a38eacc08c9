"""Sources as Gaussians with a spatial covariance: the local Gaussian model of Duong, Vincent and Gribonval (2010).

Conventions: a source has a *power* v (times, frequencies) and a *covariance* R (frequencies, 2, 2) of trace one
between its channels, which holds its direction and how diffuse it is. The recording's spectra X (2, times, frequencies)
have the covariance sum of v R at each bin. All is for two channels: 2x2 matrices are inverted by hand.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float, Inexact

FLOOR = 1e-7  # of the mean power
REGULARISATION = 1e-4  # keeps covariances from rank one

Plane = Float[np.ndarray, "times frequencies"]
Spectra = Complex[np.ndarray, "2 times frequencies"]
Powers = Float[np.ndarray, "sources times frequencies"]
Covariances = Complex[np.ndarray, "sources frequencies 2 2"]
Excess = tuple[Plane, Plane, Complex[np.ndarray, "times frequencies"]]


@dataclass(frozen=True, eq=False)
class Whitened:
    """z = S^-1 X with the model's covariance S, and the entries of S^-1 = [[q, -c], [-c*, p]]."""

    spectra: Complex[np.ndarray, "2 times frequencies"]  # z
    p: Float[np.ndarray, "times frequencies"]
    q: Float[np.ndarray, "times frequencies"]
    c: Complex[np.ndarray, "times frequencies"]

    def excess(self) -> Excess:
        """z z^H - S^-1, zero on average where the model is right: its entries 00, 11 and 01."""
        left, right = self.spectra
        return square(left) - self.q, square(right) - self.p, left * right.conj() + self.c


def initial_covariances(
    vectors: Complex[np.ndarray, "sources frequencies 2"],
    diffuse: Complex[np.ndarray, "frequencies 2 2"],
    diffuseness: float,
) -> Covariances:
    """Direct sound by the steering vectors, and a share of diffuse sound."""
    direct = vectors[..., :, None] * vectors[..., None, :].conj()
    return ((1 - diffuseness) * direct + diffuseness * diffuse).astype(np.complex64)


def measure_mixedness(spectra: Spectra) -> float:
    """How much more than one direct sound a bin with its neighbours holds, in dB, negative.

    From the smaller eigenvalue's share of the local covariance: its 5th percentile over the loud bins, plus its average
    weighted by power. Dry recordings, with little noise too, are below -40; rooms are at -30 with a reverberation time
    of 0.3 s, at -22 with 0.6 s.
    """
    left, right = spectra
    cross = left * right.conj()
    one, two, real, imaginary = (smooth(x) for x in (square(left), square(right), cross.real, cross.imag))
    total = one + two
    gap = np.sqrt((one - two) ** 2 + 4 * (real * real + imaginary * imaginary))
    share = np.maximum(1 - gap / (total + 1e-30), 0) / 2
    loud = total > np.maximum(1e-2 * total.mean(axis=0), 1e-6 * total.mean())
    if not loud.any():
        return 0.0
    least, mean = np.percentile(share[loud], 5), share[loud] @ total[loud] / total[loud].sum()
    return 10 * float(np.log10(least + 1e-9) + np.log10(mean + 1e-9))


def whiten(spectra: Spectra, powers: Powers, covariances: Covariances, floor: float) -> Whitened:
    """The recording relative to the model's covariance, the inverse in Duong et al., eq. 29."""
    p, q = (floor + _weighted_sum(powers, covariances[:, :, i, i].real) for i in (0, 1))
    c = _weighted_sum(powers, covariances[:, :, 0, 1].real) + 1j * _weighted_sum(powers, covariances[:, :, 0, 1].imag)
    determinant = np.maximum(p * q - square(c), 1e-6 * p * q)
    p, q, c = p / determinant, q / determinant, c / determinant
    left, right = spectra
    return Whitened(np.stack([q * left - c * right, p * right - c.conj() * left]), p, q, c)


def fit(
    spectra: Spectra,
    covariances: Covariances,
    *,
    priors: Powers | None = None,
    rounds: int = 12,
    hold: int = 5,
    spread: tuple[int, int] = (3, 3),
) -> tuple[Powers, Covariances]:
    """(powers, covariances) by expectation-maximisation.

    Covariances are fixed in the first `hold` rounds and updated in every other one from then on; powers start from the
    shares `priors` of the recording's power, equal ones by default, and are averaged over a spread of (times,
    frequencies), odd numbers.
    """
    total = square(spectra).sum(axis=0)
    floor = measure_floor(spectra)
    shares = np.full((len(covariances), 1, 1), 1 / len(covariances), np.float32) if priors is None else priors
    powers, fitted = (total * shares).astype(np.float32), covariances.copy()
    for step in range(rounds):
        excess = whiten(spectra, powers, fitted, floor).excess()
        for k, R in enumerate(fitted):
            powers[k] = smooth(_expected_power(powers[k], R, excess), *spread) + np.float32(floor)
        if step >= hold and (step - hold) % 2 == 0:
            excess = whiten(spectra, powers, fitted, floor).excess()
            for k, R in enumerate(fitted):
                fitted[k], scale = _expected_covariance(powers[k], R, excess)
                powers[k] *= scale
    return powers, fitted


def update_covariances(spectra: Spectra, powers: Powers, covariances: Covariances) -> Covariances:
    """Each source's expected covariance given the recording, of trace one.

    Eq. 33 divides by the power before it averages. Here loud windows count more: those in which the source is silent
    only repeat the covariance they are given, and a source that sounds briefly would keep the one it started from.
    """
    excess = whiten(spectra, powers, covariances, measure_floor(spectra)).excess()
    weights = (v * v / np.maximum(v.mean(axis=0), 1e-30) for v in powers)
    return np.stack([_expected_covariance(w, R, excess)[0] for w, R in zip(weights, covariances, strict=True)])


def measure_floor(spectra: Spectra) -> float:
    """The least power of anything, relative to the recording's mean power."""
    return FLOOR * float(square(spectra).sum(axis=0).mean()) + 1e-30


def apply_wiener_filter(
    spectra: Spectra, powers: Powers, covariances: Covariances
) -> Complex[np.ndarray, "sources 2 times frequencies"]:
    """Images v R S^-1 X by the multichannel Wiener filter; they share the remainder equally."""
    left, right = whiten(spectra, powers, covariances, measure_floor(spectra)).spectra
    out = np.empty((len(powers), *spectra.shape), np.complex64)
    for image, v, R in zip(out, powers, covariances, strict=True):
        for i in range(2):
            image[i] = v * (R[:, i, 0] * left + R[:, i, 1] * right)
    total = square(spectra).sum(axis=0)
    cancelling = np.max([square(image).sum(axis=0) for image in out], axis=0) > 100 * total
    out[:, :, cancelling] = 0
    out += (spectra - out.sum(axis=0)) / np.float32(len(out))
    return out


def trace_product(
    R: Complex[np.ndarray, "frequencies 2 2"],
    one: Plane,
    two: Plane,
    cross: Complex[np.ndarray, "times frequencies"],
) -> Plane:
    """The trace of R times the Hermitian matrices of entries 00, 11 and 01."""
    out = R[:, 0, 0].real * one + R[:, 1, 1].real * two
    out += 2 * (R[:, 0, 1].real * cross.real + R[:, 0, 1].imag * cross.imag)
    return out


def _expected_power(power: Plane, R: Complex[np.ndarray, "frequencies 2 2"], excess: Excess) -> Plane:
    """The source's expected power given the recording (eq. 32)."""
    return np.maximum(power + power * power * trace_product(R, *excess), 0)


def _expected_covariance(
    weight: Plane, R: Complex[np.ndarray, "frequencies 2 2"], excess: Excess
) -> tuple[Complex[np.ndarray, "frequencies 2 2"], Float[np.ndarray, " frequencies"]]:
    """(the source's expected covariance, averaged over time and of trace one; the trace).

    Eq. 33 if the weight is the source's power.
    """
    one, two, cross = ((weight * part).mean(axis=0) for part in excess)
    inner = np.stack([np.stack([one + 0j, cross], -1), np.stack([cross.conj(), two + 0j], -1)], -2)
    expected = R + R @ inner @ R
    trace = np.trace(expected, axis1=1, axis2=2).real
    definite = (trace > 1e-3) & (expected[:, 0, 0].real * expected[:, 1, 1].real > square(expected[:, 0, 1]))
    expected, trace = np.where(definite[:, None, None], expected, R), np.where(definite, trace, np.float32(1))
    return expected / trace[:, None, None] + REGULARISATION * np.eye(2, dtype=np.complex64) / 2, trace


def square(x: Inexact[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """|x|^2, without the root."""
    return x.real * x.real + x.imag * x.imag


def _weighted_sum(powers: Powers, weights: Float[np.ndarray, "sources frequencies"]) -> Plane:
    """The sum over the sources."""
    out = powers[0] * weights[0]
    for power, weight in zip(powers[1:], weights[1:], strict=True):
        out += power * weight
    return out


def smooth(x: Plane, times: int = 3, frequencies: int = 3) -> Plane:
    """Repeated three-point means, wider for larger odd numbers; a running sum would lose what is quiet beside loud."""
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
