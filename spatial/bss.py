"""Published blind separation, by pyroomacoustics, started from where the sources are said to be.

- auxiva: independent vector analysis, Ono (2011); ilrma: the same with low-rank powers, Kitamura et al. (2016). Both
  undo a fixed 2x2 mixing at each frequency, so there are as many sources as channels. They start from the inverse of
  the steering vectors.
- fastmnmf2: powers of low rank and covariances with a common diagonaliser, Sekiguchi et al. (2020), by a Wiener filter.
  Its diagonaliser starts from the inverse of two neighbouring directions: of all pairs, the one whose images fit the
  directions best.

Blind methods don't know who is who: images are put in the order of the directions they fit. Where a method fails, which
it does on recordings that have nothing to tell apart, and not on every processor alike, the mixture is shared out.
Conventions: spectra are (2, times, frequencies), as in `spatial.spectra`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from spatial.local_gaussian import square
from spatial.setups import Setup, steering

METHODS = ("auxiva", "ilrma", "fastmnmf2")
ROUNDS = {"auxiva": 30, "ilrma": 40, "fastmnmf2": 40}
FEWEST = 12  # windows, with fewer of which nothing is told apart
SOFT = 0.1  # singular value of a mixing below which its inverse is held back where two directions are alike
LOUDEST = 1e3  # times the recording, above which images that sum to it cancel, and are no sources
DITHER = 1e-5  # of the recording's level, without which what is silent has no inverse
BAND = (150.0, 8000.0)  # Hz, in which images are told apart by direction


def images(method: str, spectra: NDArray, setup: Setup, azimuths: list[float], frequencies: NDArray) -> NDArray:
    """(sources, 2, times, frequencies) images that sum to the spectra, in the order of the azimuths."""
    ranks = np.argsort(np.argsort(azimuths, kind="stable"))
    vectors = steering(setup, sorted(azimuths), frequencies).astype(complex)  # (sources, frequencies, 2)
    random = np.random.default_rng(0)
    level = np.sqrt(square(spectra).mean()) * DITHER + 1e-12
    noise = random.standard_normal((2, *spectra.shape)) * level
    heard = (spectra + noise[0] + 1j * noise[1]).transpose(1, 2, 0)  # (times, frequencies, 2)
    best, found = -1.0, np.repeat(spectra[None] / len(azimuths), len(azimuths), axis=0)
    for first in range(len(azimuths) - 1 if spectra.shape[1] >= FEWEST else 0):
        apart = _tried(method, heard, _inverse(vectors[first : first + 2]), len(azimuths))
        if apart is None:
            continue
        fit, order = _order(apart, vectors, frequencies)
        if fit > best:
            best, found = fit, apart[order]
    return (found + (spectra - found.sum(axis=0)) / len(found))[ranks].astype(np.complex64)


def _tried(method: str, heard: NDArray, start: NDArray, count: int) -> NDArray | None:
    """Images in no order; None where the method fails: by an error, by what is no number, by images that cancel."""
    try:
        with _repeatable():
            apart = _apart(method, heard, start, count)
    except (ArithmeticError, ValueError):  # LinAlgError is a ValueError
        return None
    wild = LOUDEST * max(float(np.abs(heard).max()), 1e-30)
    return apart if np.abs(apart).max() < wild else None  # NaN compares false


def _apart(method: str, heard: NDArray, start: NDArray, count: int) -> NDArray:
    """Images of (times, frequencies, 2) spectra, in no order.

    What was demixed is projected back onto the channels, the minimal distortion principle of Matsuoka (2002).
    """
    from pyroomacoustics import bss

    if method == "fastmnmf2":
        found = bss.fastmnmf2(heard, n_src=count, n_iter=ROUNDS[method], mic_index="all", W0=start)
        return found.transpose(3, 0, 1, 2)
    apart = getattr(bss, method)(heard, n_iter=ROUNDS[method], proj_back=False, W0=start)
    mixed, apart = heard.transpose(1, 2, 0), apart.transpose(1, 2, 0)  # (frequencies, 2, times)
    mixing = np.linalg.solve(_over(apart, apart), _over(apart, mixed)).conj().transpose(0, 2, 1)
    return np.einsum("fcs,fst->sctf", mixing, apart)


def _inverse(vectors: NDArray) -> NDArray:
    """(frequencies, 2, 2): filters that null either of two steering vectors, held back where they are alike."""
    left, values, right = np.linalg.svd(vectors.transpose(1, 2, 0))  # of (frequencies, channels, sources)
    inverse = right.conj().transpose(0, 2, 1) / np.maximum(values, SOFT)[:, None]
    return inverse @ left.conj().transpose(0, 2, 1)


def _over(one: NDArray, two: NDArray) -> NDArray:
    return one @ two.conj().transpose(0, 2, 1)


def _order(found: NDArray, vectors: NDArray, frequencies: NDArray) -> tuple[float, NDArray[np.int64]]:
    """How well images fit the directions, 0..1, and which fits which: by the share of power from there, Kuhn (1955)."""
    kept = (frequencies > BAND[0]) & (frequencies < BAND[1])
    if not kept.any():
        return 0.0, np.arange(len(found))
    near = found[..., kept]
    power = square(near).sum(axis=(1, 2)) + 1e-30  # (sources, frequencies)
    toward = np.einsum("sctf,dfc->sdtf", near, vectors[:, kept].conj())
    share = square(toward).sum(axis=2) / power[:, None]
    weight = np.sqrt(power)
    score = np.einsum("sdf,sf->ds", share, weight / weight.sum(axis=1, keepdims=True))
    rows, columns = linear_sum_assignment(score, maximize=True)
    return float(score[rows, columns].mean()), columns


@contextmanager
def _repeatable() -> Iterator[None]:
    """Its random starts are those of numpy as a whole: the same every time, and put back. Quiet: it may fail."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
