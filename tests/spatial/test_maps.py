"""Maps over azimuth and time."""

import numpy as np
from spatial_sounds import RATE, bursts

from spatial.evidence import gather
from spatial.maps import COUNT, LOCAL, MAPS, TIMED, azimuth_grid, compute_maps
from spatial.setups import make_setup
from spatial.simulation import simulate

SETUP = make_setup("ortf")


def test_a_source_is_high_where_and_when_it_sounds() -> None:
    first, second = bursts(1, 4.0), bursts(2, 4.0)
    first[2 * RATE :], second[: 2 * RATE] = 0, 0
    recording = simulate([(first, -40.0), (second, 30.0)], "ortf", rate=RATE, seed=1)
    maps = compute_maps(gather(recording, RATE), SETUP)
    assert maps.overall.shape == (MAPS, COUNT) and maps.timed.shape[::2] == (TIMED, COUNT)
    grid = azimuth_grid(SETUP)
    left, right = (int(np.abs(grid - azimuth).argmin()) for azimuth in (-40, 30))
    for row in maps.timed[[1, 3, 4]]:  # the lowest and the highest band hold little of these sounds
        assert abs(int(row[1:6].mean(axis=0).argmax()) - left) <= 2
        assert abs(int(row[10:15].mean(axis=0).argmax()) - right) <= 2
    for row in maps.overall[:5]:
        assert row[[left, right]].min() > np.median(row)


def test_swapped_channels_give_mirrored_maps() -> None:
    recording = simulate([(bursts(1), -40.0), (bursts(4), 12.0)], "ortf", rate=RATE, rt60=0.3, seed=2)
    one, two = (compute_maps(gather(each, RATE), SETUP) for each in (recording, recording[::-1]))
    assert np.abs(one.overall - two.overall[:, ::-1]).mean() < 0.03
    assert np.abs(one.timed - two.timed[:, :, ::-1]).mean() < 0.03
    assert np.abs(one.overall - two.overall).mean() > 0.3


def test_repeating_a_recording_hardly_changes_its_maps() -> None:
    recording = simulate([(bursts(1), -40.0), (bursts(4), 12.0)], "ortf", rate=RATE, rt60=0.3, seed=2)
    once, often = (compute_maps(gather(each, RATE), SETUP) for each in (recording, np.tile(recording, (1, 4))))
    strong = once.overall[:LOCAL] > np.quantile(once.overall[:LOCAL], 0.9, axis=1, keepdims=True)
    assert np.abs(once.overall[:LOCAL] - often.overall[:LOCAL])[strong].mean() < 0.35
