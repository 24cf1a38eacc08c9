"""Published blind source separation, by pyroomacoustics, started from the directions of the sources.

- auxiva: independent vector analysis, Ono (2011); ilrma: the same with low-rank powers, Kitamura et al. (2016). Both
  invert a fixed 2x2 mixing at each frequency, so there are as many sources as channels. They start from the inverse of
  the steering vectors.
- fastmnmf2: low-rank powers and covariances with a common diagonaliser, Sekiguchi et al. (2020), by a Wiener filter.
  Its diagonaliser starts from the inverse of two neighbouring directions: of all pairs, the one whose images fit the
  directions best.

Blind methods do not know which source is which: images are put in the order of the directions they fit. Where a method
fails, which happens on recordings whose sources do not differ, and not on every processor alike, all sources get an
equal share of the mixture.
Conventions: spectra are (2, times, frequencies), as in `spatial.spectra`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Complex, Float, Int
from scipy.optimize import linear_sum_assignment

from spatial.local_gaussian import square
from spatial.setups import Setup, steering_vectors

METHODS = ("auxiva", "ilrma", "fastmnmf2")
ROUNDS = {"auxiva": 30, "ilrma": 40, "fastmnmf2": 40}
FEWEST = 12  # windows below which sources cannot be told apart
SOFT = 0.1  # least singular value of a mixing whose inverse is used as it is, where two directions are alike
LOUDEST = 1e3  # times the recording: louder images cancel each other and are no sources
DITHER = 1e-5  # of the recording's level: without it silent frequencies have no inverse
BAND = (150.0, 8000.0)  # Hz, in which images are assigned to directions

Images = Complex[np.ndarray, "sources 2 times frequencies"]
Channels = Complex[np.ndarray, "times frequencies 2"]  # spectra as pyroomacoustics has them
Filters = Complex[np.ndarray, "frequencies 2 2"]


def estimate_images(
    method: str,
    spectra: Complex[np.ndarray, "2 times frequencies"],
    setup: Setup,
    azimuths: list[float],
    frequencies: Float[np.ndarray, " frequencies"],
) -> Images:
    """Images that sum to the spectra, in the order of the azimuths."""
    ranks = np.argsort(np.argsort(azimuths, kind="stable"))
    vectors = steering_vectors(setup, sorted(azimuths), frequencies).astype(complex)  # (sources, frequencies, 2)
    random = np.random.default_rng(0)
    level = np.sqrt(square(spectra).mean()) * DITHER + 1e-12
    noise = random.standard_normal((2, *spectra.shape)) * level
    channels = (spectra + noise[0] + 1j * noise[1]).transpose(1, 2, 0)
    best, images = -1.0, np.repeat(spectra[None] / len(azimuths), len(azimuths), axis=0)
    for first in range(len(azimuths) - 1 if spectra.shape[1] >= FEWEST else 0):
        separated = _separate_or_none(method, channels, _invert_vectors(vectors[first : first + 2]), len(azimuths))
        if separated is None:
            continue
        fit, order = _assign_directions(separated, vectors, frequencies)
        if fit > best:
            best, images = fit, separated[order]
    return (images + (spectra - images.sum(axis=0)) / len(images))[ranks].astype(np.complex64)


def _separate_or_none(method: str, channels: Channels, start: Filters, count: int) -> Images | None:
    """Images in no order; None where the method raises, returns no finite numbers or returns images that cancel."""
    try:
        with _fixed_seed():
            images = _separate_blindly(method, channels, start, count)
    except (ArithmeticError, ValueError):  # LinAlgError is a ValueError
        return None
    wild = LOUDEST * max(float(np.abs(channels).max()), 1e-30)
    return images if np.abs(images).max() < wild else None  # NaN compares false


def _separate_blindly(method: str, channels: Channels, start: Filters, count: int) -> Images:
    """Images in no order.

    Demixed signals are projected back onto the channels, the minimal distortion principle of Matsuoka (2002).
    """
    from pyroomacoustics import bss  # here, so that `listen` does not wait for it

    if method == "fastmnmf2":
        images = bss.fastmnmf2(channels, n_src=count, n_iter=ROUNDS[method], mic_index="all", W0=start)
        return images.transpose(3, 0, 1, 2)
    demixed = getattr(bss, method)(channels, n_iter=ROUNDS[method], proj_back=False, W0=start)
    mixed, demixed = channels.transpose(1, 2, 0), demixed.transpose(1, 2, 0)  # (frequencies, 2, times)
    mixing = np.linalg.solve(_correlate(demixed, demixed), _correlate(demixed, mixed)).conj().transpose(0, 2, 1)
    return np.einsum("fcs,fst->sctf", mixing, demixed)


def _invert_vectors(vectors: Complex[np.ndarray, "2 frequencies 2"]) -> Filters:
    """Filters that each null one of two steering vectors, regularised where the two are alike."""
    left, values, right = np.linalg.svd(vectors.transpose(1, 2, 0))  # of (frequencies, channels, sources)
    inverse = right.conj().transpose(0, 2, 1) / np.maximum(values, SOFT)[:, None]
    return inverse @ left.conj().transpose(0, 2, 1)


def _correlate(
    one: Complex[np.ndarray, "frequencies 2 times"], two: Complex[np.ndarray, "frequencies 2 times"]
) -> Filters:
    return one @ two.conj().transpose(0, 2, 1)


def _assign_directions(
    images: Images,
    vectors: Complex[np.ndarray, "directions frequencies 2"],
    frequencies: Float[np.ndarray, " frequencies"],
) -> tuple[float, Int[np.ndarray, " sources"]]:
    """(how well images fit the directions, 0 to 1; the image of each), by the power from there, Kuhn (1955)."""
    band = (frequencies > BAND[0]) & (frequencies < BAND[1])
    if not band.any():
        return 0.0, np.arange(len(images))
    images = images[..., band]
    power = square(images).sum(axis=(1, 2)) + 1e-30  # (sources, frequencies)
    toward = np.einsum("sctf,dfc->sdtf", images, vectors[:, band].conj())
    share = square(toward).sum(axis=2) / power[:, None]
    weight = np.sqrt(power)
    score = np.einsum("sdf,sf->ds", share, weight / weight.sum(axis=1, keepdims=True))
    rows, columns = linear_sum_assignment(score, maximize=True)
    return float(score[rows, columns].mean()), columns


@contextmanager
def _fixed_seed() -> Iterator[None]:
    """Seed numpy's global generator, which the methods use, and put its state back; silence their warnings."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
