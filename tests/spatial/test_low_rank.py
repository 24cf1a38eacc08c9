"""Low-rank powers: what is made of few patterns is found again, and the likelihood rises."""

import numpy as np
import pytest

from spatial.local_gaussian import fit, initial_covariances, measure_floor, square, whiten
from spatial.low_rank import factorise, refine
from spatial.setups import diffuse_covariance, make_setup, steering_vectors

TIMES, FREQUENCIES = 60, 65


def make_power(seed, rank=2):
    random = np.random.default_rng(seed)
    return (random.random((TIMES, rank)) ** 4 @ random.random((rank, FREQUENCIES)) ** 4).astype(np.float32) + 1e-3


def make_mixture():
    """Spectra of two ORTF sources at -35 and 28 degrees, and start covariances of a room."""
    random, frequencies = np.random.default_rng(4), np.linspace(0, 8000, FREQUENCIES)
    setup = make_setup("ortf")
    vectors = steering_vectors(setup, [-35, 28], frequencies)
    normal = random.standard_normal((2, 2, TIMES, FREQUENCIES)).astype(np.float32)
    signals = (normal[0] + 1j * normal[1]) * np.sqrt([make_power(1), make_power(2)])
    images = signals[:, None] * vectors.transpose(0, 2, 1)[:, :, None]
    start = initial_covariances(vectors, diffuse_covariance(setup, frequencies), 0.4)
    return images.sum(axis=0).astype(np.complex64), start


def likelihood(spectra, powers, covariances):
    """Mean logarithm of the density of the bins, up to a constant."""
    white = whiten(spectra, powers, covariances, measure_floor(spectra))
    determinant = white.p * white.q - square(white.c)
    return float((np.log(determinant) - (spectra.conj() * white.spectra).sum(axis=0).real).mean())


def test_a_power_of_few_patterns_is_found():
    power = make_power(7)
    found = factorise(power, 4, 1e-9, rounds=60).power()
    assert np.abs(np.log(found / power)).mean() < 0.2
    one = factorise(power, 1, 1e-9, rounds=60).power()
    assert np.abs(np.log(one / power)).mean() > 0.4


def test_the_likelihood_rises_and_powers_are_nearer_to_the_truth():
    spectra, start = make_mixture()
    smooth = fit(spectra, start, rounds=4)
    few, more = (refine(spectra, *smooth, rank=4, rounds=rounds) for rounds in (2, 16))
    assert likelihood(spectra, *more) > likelihood(spectra, *few) + 0.1
    truth = np.log(np.stack([make_power(1), make_power(2)]))
    errors = [np.abs(np.log(powers + 1e-4) - truth).mean() for powers, _ in (smooth, more)]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.filterwarnings("error")
def test_silent_times_and_frequencies_stay_finite_and_arguments_as_they_are():
    spectra, start = make_mixture()
    spectra[:, 20:40] = 0
    spectra[:, :, 30:] = 0
    powers, covariances = fit(spectra, start, rounds=2)
    before = powers.copy(), covariances.copy()
    assert all(np.isfinite(out).all() for out in refine(spectra, powers, covariances, rank=3, rounds=8))
    assert np.array_equal(powers, before[0]) and np.array_equal(covariances, before[1])
