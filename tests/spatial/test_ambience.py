"""Ambient sound is wide; a source in a room is narrow."""

import numpy as np
import pytest

from spatial.ambience import widen_ambience
from spatial.evidence import gather
from spatial.listening import listen
from spatial.scene import Direction
from spatial.setups import make_setup
from spatial.simulation import simulate

RATE = 16_000
NOISE = np.random.default_rng(5)


def around(setup, limit):
    """Independent noises from twelve directions."""
    places = np.linspace(-limit, limit, 12)
    return simulate([(0.05 * NOISE.standard_normal(3 * RATE), float(place)) for place in places], setup, rate=RATE)


@pytest.mark.parametrize(("setup", "limit"), [("ortf", 85), ("binaural", 85), ("panned", 44)])
def test_rain_all_around_is_wide(setup, limit):
    sources = listen(around(setup, limit), RATE, setup=setup).sources
    assert sources and all(source.direction.spread > 20 for source in sources)


@pytest.mark.parametrize("setup", ["ortf", "binaural", "panned"])
def test_rain_from_one_direction_is_narrow(setup):
    room = None if setup == "panned" else 0.4
    rain = simulate([(0.05 * NOISE.standard_normal(3 * RATE), 23.0)], setup, rate=RATE, rt60=room)
    (source,) = listen(rain, RATE, setup=setup).sources
    assert source.direction.spread < 9 and source.direction.azimuth == pytest.approx(23, abs=4)


@pytest.mark.parametrize(("diffuse", "wide"), [(0.78, False), (0.93, True)])
def test_reverberation_of_a_room_is_no_ambience(diffuse, wide, monkeypatch):
    """Shares of the diffuse field as two sounds in a room have it, of which none is sure, and rain all around."""
    monkeypatch.setattr("spatial.ambience.measure_ambience", lambda *_: (diffuse, 0.4))
    evidence = gather(NOISE.standard_normal((2, RATE)).astype(np.float32), RATE)
    unsure = [Direction(-25.0, 3.0, 0.6), Direction(40.0, 2.0, 0.4)]
    spreads = [one.spread for one in widen_ambience(unsure, evidence, make_setup("spaced"))]
    assert all(spread > 20 for spread in spreads) if wide else spreads == [3.0, 2.0]
