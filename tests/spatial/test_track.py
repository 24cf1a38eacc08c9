"""Moving sources are tracked, beside fixed ones and across others; fixed sources do not move."""

import numpy as np
import pytest

from spatial import joint
from spatial.evidence import gather
from spatial.listening import listen
from spatial.scene import Scene
from spatial.setups import make_setup
from spatial.simulation import simulate
from spatial.track import drop_passers, join_paths, measure_extents, track_sources, viterbi

RATE = 16_000


def sound(
    seed: int, low: float, high: float, seconds: float = 5.0, first: float = 0.0, last: float = 9.0
) -> np.ndarray:
    """Noise around those Hz that comes and goes, between two times."""
    random = np.random.default_rng(seed)
    frames = round(seconds * RATE)
    spectrum, hertz = np.fft.rfft(random.standard_normal(frames)), np.fft.rfftfreq(frames, 1 / RATE)
    band = np.fft.irfft(spectrum * np.exp(-(((hertz - (low + high) / 2) / (high - low)) ** 2)), frames)
    gate = np.repeat(random.random(int(np.ceil(seconds / 0.1))) > 0.5, round(0.1 * RATE))[:frames]
    at = np.arange(frames) / RATE
    smooth = np.convolve(gate, np.hanning(200) / np.hanning(200).sum(), "same") * (at >= first) * (at < last)
    return (0.1 * band / np.sqrt(np.mean(band**2)) * smooth).astype(np.float32)


LOW, HIGH = sound(1, 200, 2500), sound(2, 1500, 6000)


def listen_to(sources: list, kind: str, **options) -> Scene:
    return listen(simulate(sources, kind, rate=RATE), RATE, setup=kind, **options)


def error(source, path) -> float:
    times, azimuths = zip(*path, strict=True)
    at = np.arange(0.3, times[-1] - 0.2, 0.1)
    return float(np.mean([abs(source.azimuth_at(t) - np.interp(t, times, azimuths)) for t in at]))


@pytest.mark.parametrize(("kind", "reach", "most"), [("panned", 0.8, 3), ("binaural", 1, 6)])
def test_two_that_cross_are_two_paths_that_cross(kind, reach, most):
    paths = [[(0.0, -50 * reach), (5.0, 40 * reach)], [(0.0, 45 * reach), (5.0, -35 * reach)]]
    scene = listen_to(list(zip((LOW, HIGH), paths, strict=True)), kind, count=2)
    assert [source.moves for source in scene.sources] == [True, True]
    rising, falling = sorted(scene.sources, key=lambda one: one.azimuth_at(0.5))
    assert error(rising, paths[0]) < most and error(falling, paths[1]) < most


@pytest.mark.parametrize(("mover", "stayer"), [(0.4, 1.0), (1.0, 0.4)])
def test_a_soft_one_beside_a_loud_one(mover, stayer):
    path = [(0.0, 52.0), (5.0, -58.0)]
    scene = listen_to([(mover * LOW, path), (stayer * HIGH, 27.0)], "ortf", count=2)
    moving, still = sorted(scene.sources, key=lambda one: not one.moves)
    assert moving.moves and not still.moves
    assert error(moving, path) < 4
    assert still.direction.azimuth == pytest.approx(27, abs=4)


def test_there_and_back_again():
    path = [(0.0, -48.0), (2.5, 37.0), (5.0, -40.0)]
    (source,) = listen_to([(LOW, path)], "ortf", count=1).sources
    assert source.moves and error(source, path) < 10


@pytest.mark.parametrize("kind", ["panned", "ortf"])
def test_two_sources_that_take_turns_do_not_move(kind):
    sources = [(sound(1, 200, 3000, first=0.5, last=2.2), -38.0), (sound(2, 900, 5000, first=2.8), 24.0)]
    scene = listen_to(sources, kind)
    assert not any(source.moves for source in scene.sources)
    assert sorted(scene.azimuths) == pytest.approx([-38, 24], abs=3)


def test_fixed_sources_do_not_move():
    evidence = gather(simulate([(LOW, -38.0), (HIGH, 24.0)], "ortf", rate=RATE, rt60=0.4, seed=2), RATE)
    assert track_sources(evidence, make_setup("ortf"), 2, certain=False) == ([], [])


def test_a_path_that_only_moves_in_silence_does_not_move():
    """A source in the middle of a recording says nothing of where it is before and after."""
    sources = [(sound(1, 200, 2500, 3.0, first=1.2, last=1.9), -33.0), (sound(2, 1500, 6000, 3.0), 21.0)]
    evidence = gather(simulate(sources, "panned", rate=RATE), RATE)
    assert track_sources(evidence, make_setup("panned"), 2, certain=False) == ([], [])
    bins = joint.select_bins(evidence, make_setup("panned"), 0.1)
    path = np.abs(np.arange(bins.blocks) - 15.5).astype(np.float32) ** 2 / 8 + 12.0  # -33 degrees when it sounds
    fitted = joint.Fit((66.0, path), *joint.fit_shares(bins, (66.0, path)))
    assert float(np.ptp(path)) > 20 and measure_extents(bins, fitted)[0] < 10


def fit_of(bins, components):
    return joint.Fit(components, *joint.fit_shares(bins, components))


def test_two_paths_along_one_source_are_joined_and_what_it_passes_is_dropped():
    mover, other = (LOW, [(0.0, -50.0), (5.0, 50.0)]), (HIGH, [(0.0, 50.0), (5.0, -50.0)])
    alone, beside, across = (
        joint.select_bins(gather(simulate(sources, "ortf", rate=RATE), RATE), make_setup("ortf"), 0.1)
        for sources in ([mover], [mover, (HIGH, 0.0)], [mover, other])
    )
    path = np.linspace(20, 70, alone.blocks).astype(np.float32)
    assert len(join_paths(alone, fit_of(alone, (path, path + 2)), 2).components) == 1
    assert len(join_paths(across, fit_of(across, (path, path[::-1])), 2).components) == 2
    assert len(drop_passers(alone, fit_of(alone, (60.0, path)), 1).components) == 1
    assert len(drop_passers(beside, fit_of(beside, (45.0, path)), 1).components) == 2


def test_components_share_what_there_is():
    evidence = gather(simulate([(LOW, -38.0), (HIGH, 24.0)], "panned", rate=RATE), RATE)
    bins = joint.select_bins(evidence, make_setup("panned"), 0.1)
    one, two = (joint.fit(bins, count, 0) for count in (1, 2))
    assert bins.weight.sum() == pytest.approx(1, abs=1e-3)
    assert two.likelihood > one.likelihood + 0.1
    assert 0.9 < two.shares.sum() <= 1.001 and min(two.shares) > 0.2
    assert sorted(two.components) == pytest.approx([45 - 38, 45 + 24], abs=0.7)  # type: ignore[type-var]


def test_viterbi_cannot_jump() -> None:
    score = np.zeros((6, 20))
    score[[0, 1, 2, 3, 4, 5], [2, 3, 4, 19, 6, 7]] = [1, 1, 1, 5, 1, 1]
    assert viterbi(score, 2, 0.0).tolist()[:3] == [2, 3, 4]
    assert np.abs(np.diff(viterbi(score, 2, 0.0))).max() <= 2
