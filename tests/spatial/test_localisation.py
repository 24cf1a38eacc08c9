"""Directions without separation."""

import pytest
from spatial_sounds import RATE, bursts

from spatial.localisation import localise
from spatial.simulation import simulate


def test_the_given_number_of_sources_is_found() -> None:
    recording = simulate([(bursts(1), 31.0), (bursts(2), -31.0)], "ortf", rate=RATE)
    for count in (1, 2, 3):
        assert len(localise(recording, RATE, setup="ortf", count=count)) == count


@pytest.mark.parametrize("method", ["srp", "normmusic"])
def test_published_methods_by_the_same_function(method: str) -> None:
    recording = simulate([(bursts(1), 31.0)], "ortf", rate=RATE)
    (found,) = localise(recording, RATE, setup="ortf", method=method, count=1)
    assert found.azimuth == pytest.approx(31, abs=6)
