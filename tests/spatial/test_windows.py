"""Long recordings in blocks give one scene."""

import numpy as np
import pytest

from spatial import listening, windows
from spatial.errors import SpatialError
from spatial.scene import Direction, Scene, Source
from spatial.simulation import simulate
from spatial.windows import LONG, listen_at_length, listen_long, vote_setup

RATE = 16_000


def blocks_of(recording, size):
    for start in range(0, recording.shape[1], size):
        yield recording[:, start : start + size]


def bursts(seconds, every, at, seed):
    """White noise for `at` (start, stop) of each period."""
    time = np.arange(round(seconds * RATE)) / RATE % every
    return 0.2 * np.random.default_rng(seed).standard_normal(len(time)) * ((time >= at[0]) & (time < at[1]))


@pytest.mark.parametrize("size", [777, 16_000, 200_000])
def test_windows_cover_everything_once_and_overlap(size):
    ramp = np.arange(100_000, dtype=np.float32)[None].repeat(2, axis=0)
    found = list(windows.split_windows(blocks_of(ramp, size), 10_000, window=3.0, overlap=1.0))
    starts = [start for start, _, _ in found]
    assert starts == [0, 20_000, 40_000, 60_000, 80_000]
    assert [more for *_, more in found] == [True] * 4 + [False]
    for start, piece, _ in found:
        np.testing.assert_array_equal(piece, ramp[:, start : start + 30_000])


def test_a_window_that_fits_exactly_is_the_only_one():
    ((start, piece, more),) = windows.split_windows([np.ones((2, 300))], 100, window=3.0, overlap=1.0)
    assert (start, piece.shape, more) == (0, (2, 300), False)


def test_two_fixed_sources_are_two_through_all_windows():
    recording = simulate([(bursts(20, 2, (0, 1), 1), -22.0), (bursts(20, 2, (1, 2), 2), 33.0)], "panned", rate=RATE)
    calls = []
    scene = listen_long(
        blocks_of(recording, 9_999),
        RATE,
        setup="panned",
        count=2,
        window=6,
        overlap=2,
        on_window=lambda *x: calls.append(x),
    )
    assert sorted(scene.azimuths) == pytest.approx([-22, 33], abs=2)
    assert scene.setup == "panned" and all(not source.path for source in scene.sources)
    assert [start for start, *_ in calls] == [0, 4, 8, 12, 16] and all(
        sorted(order) == [0, 1] for _, _, order, _ in calls
    )
    assert [more for *_, more in calls] == [True] * 4 + [False]


def fake(monkeypatch, scene_of):
    """Instead of the listener: `scene_of(seconds from the start of what is a ramp of frame numbers)`."""

    def hear(piece, rate, **options):
        return scene_of(float(piece[0, 0]) / rate, piece.shape[1] / rate, options)

    monkeypatch.setattr(listening, "listen", hear)
    return np.arange(60 * RATE, dtype=np.float64)[None].repeat(2, axis=0) + 1.0


def test_a_moving_source_is_followed_through_the_windows(monkeypatch):
    def scene_of(start, seconds, options):
        ends = ((0.0, -60 + 2 * start), (seconds, -60 + 2 * (start + seconds)))
        moving = Source(np.zeros(3), Direction(np.mean([a for _, a in ends])), -20.0, ends, ((0.0, seconds),))
        still = Source(np.zeros(3), Direction(1.0, confidence=0.5), -40.0, (), ((0.0, seconds),))
        return Scene((still, moving) if round(start) % 2 else (moving, still), RATE, "xy")

    scene = listen_long(blocks_of(fake(monkeypatch, scene_of), RATE), RATE, setup="xy")
    moving, still = scene.sources
    assert len(scene.sources) == 2 and still.path == () and still.direction.azimuth == 1.0
    assert moving.path[0] == pytest.approx((0.0, -60.0), abs=0.1)
    assert moving.path[-1] == pytest.approx((60.0, 60.0), abs=0.1)
    assert all(azimuth == pytest.approx(-60 + 2 * time, abs=0.1) for time, azimuth in moving.path)
    assert still.active == moving.active == ((0.0, pytest.approx(60.0)),)
    assert still.direction.confidence == pytest.approx(0.5) and still.level == pytest.approx(-40)


def test_a_source_that_returns_is_the_same_and_one_elsewhere_is_new(monkeypatch):
    def scene_of(start, seconds, options):
        azimuth = 40.0 if 20 < start < 40 else -30.0
        spans = ((0.0, 1.0), (7.0, 8.0))
        return Scene((Source(np.ones(3), Direction(azimuth), -20.0 - start, (), spans),), RATE, "xy")

    scene = listen_long(blocks_of(fake(monkeypatch, scene_of), RATE), RATE, setup="xy", window=10, overlap=2)
    assert scene.azimuths == [-30.0, 40.0]
    assert scene.sources[1].active == ((31.0, 32.0), (39.0, 40.0))  # of the windows at 24 and 32 seconds


def tone(low, high, seconds=2.0):
    """Noise between those Hz."""
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(round(seconds * RATE)))
    hertz = np.fft.rfftfreq(round(seconds * RATE), 1 / RATE)
    return np.fft.irfft(spectrum * ((hertz > low) & (hertz < high)), round(seconds * RATE)).astype(np.float32)


DEEP, HIGH = tone(100, 900), tone(2500, 7000)
WHOLE = ((0.0, 2.0),)


def test_what_drives_by_again_and_again_is_one_source(monkeypatch):
    def scene_of(start, seconds, options):
        ends = ((0.0, -50.0), (seconds, 50.0))
        car = Source(DEEP, Direction(0.0), -20.0, ends, WHOLE)
        return Scene((car, Source(HIGH, Direction(24.0), -30.0, (), WHOLE)), RATE, "xy")

    scene = listen_long(blocks_of(fake(monkeypatch, scene_of), RATE), RATE, setup="xy", window=10, overlap=2)
    assert [source.moves for source in scene.sources] == [True, False]


def test_another_sound_at_the_same_place_is_another_source(monkeypatch):
    def scene_of(start, seconds, options):
        return Scene((Source(DEEP if start < 30 else HIGH, Direction(24.0), -20.0, (), WHOLE),), RATE, "xy")

    scene = listen_long(blocks_of(fake(monkeypatch, scene_of), RATE), RATE, setup="xy", window=10, overlap=2)
    assert scene.azimuths == [24.0, 24.0]


def test_one_window_in_which_a_fixed_source_seems_to_move_is_no_movement(monkeypatch):
    def scene_of(start, seconds, options):
        path = ((0.0, 20.0), (seconds, -40.0)) if 20 < start < 30 else ()
        return Scene((Source(DEEP, Direction(-10.0 if path else 24.0), -20.0, path, WHOLE),), RATE, "xy")

    scene = listen_long(blocks_of(fake(monkeypatch, scene_of), RATE), RATE, setup="xy", window=10, overlap=2)
    assert [source.path for source in scene.sources] == [()] and scene.azimuths == [24.0]


def test_a_source_that_wavers_does_not_move(monkeypatch):
    def scene_of(start, seconds, options):
        return Scene((Source(DEEP, Direction(9.0 * np.sin(2.2 * start)), -20.0, (), WHOLE),), RATE, "xy")

    scene = listen_long(blocks_of(fake(monkeypatch, scene_of), RATE), RATE, setup="xy", window=10, overlap=2)
    assert len(scene.sources) == 1 and not scene.sources[0].moves


@pytest.mark.parametrize(("confidence", "kept"), [(0.5, False), (0.9, True)])
def test_a_doubtful_source_of_one_window_is_left_out(monkeypatch, confidence, kept):
    def scene_of(start, seconds, options):
        once = [Source(HIGH, Direction(-60.0, confidence=confidence), -10.0, (), WHOLE)] if 15 < start < 17 else []
        return Scene((*once, Source(DEEP, Direction(24.0), -20.0, (), WHOLE)), RATE, "xy")

    ranks = []
    recording = fake(monkeypatch, scene_of)
    scene = listen_long(blocks_of(recording, RATE), RATE, setup="xy", window=10, overlap=2, on_end=ranks.extend)
    assert sorted(scene.azimuths) == ([-60.0, 24.0] if kept else [24.0])
    assert sorted(ranks) == ([0, 1] if kept else [0])


@pytest.mark.slow
def test_a_scene_that_is_repeated_keeps_its_sources_at_any_length():
    """Evidence must not thin out with time, and windows must find the same sources again."""
    piece = simulate([(bursts(4, 2, (0, 0.9), 1), -35.0), (bursts(4, 2, (0.8, 1.7), 2), 28.0)], "ortf", rate=RATE)
    scenes = [listening.listen(np.tile(piece, (1, times)), RATE, setup="ortf") for times in (1, 3, 5)]
    scenes.append(listen_long([np.tile(piece, (1, 5))], RATE, setup="ortf", window=8, overlap=2))
    for scene in scenes:
        assert sorted(scene.azimuths) == pytest.approx([-35, 28], abs=3)
        assert not any(source.moves for source in scene.sources)


def test_only_long_recordings_are_heard_in_windows(monkeypatch):
    lengths, shares = [], []

    def scene_of(start, seconds, options):
        lengths.append(seconds)
        return Scene((Source(DEEP, Direction(24.0), -20.0, (), WHOLE),), RATE, "xy")

    recording = fake(monkeypatch, scene_of)
    listen_at_length(recording[:, : round(LONG * RATE)], RATE, setup="xy")
    assert lengths == [LONG]
    scene = listen_at_length(recording, RATE, setup="xy", progress=shares.append)
    assert max(lengths[1:]) == windows.WINDOW and scene.azimuths == [24.0]
    assert shares == sorted(shares) and shares[-1] == 1


def test_the_first_windows_decide_the_kind_of_stereo(monkeypatch):
    setups = []

    def scene_of(start, seconds, options):
        setups.append(options.get("setup", "auto"))
        guess = ("ortf", 0.6) if start < 10 else ("spaced", 0.9) if start < 20 else ("ortf", 0.7)
        setup = guess[0] if setups[-1] == "auto" else setups[-1].name
        return Scene((Source(np.ones(3), Direction(5.0)),), RATE, setup, 0.17, guess[1])

    scene = listen_long(blocks_of(fake(monkeypatch, scene_of), RATE), RATE, window=12, overlap=2)
    assert scene.setup == "ortf" and scene.confidence == pytest.approx(1.3 / 3)
    assert setups[:3] == ["auto"] * 3 and {one.name for one in setups[3:]} == {"ortf"}


def test_setup_by_votes():
    votes = [Scene((), RATE, "spaced", 0.4, 0.9), Scene((), RATE, "mono"), Scene((), RATE, "spaced", 0.5, 0.9)]
    setup, sure = vote_setup(votes)
    assert (setup.name, setup.spacing, sure) == ("spaced", pytest.approx(0.45), pytest.approx(0.6))
    assert vote_setup([Scene((), RATE, "mono")]) is None and vote_setup([]) is None


def test_silence_in_the_middle_and_nothing_else(monkeypatch):
    recording = simulate([(bursts(4, 4, (0, 4), 3), 20.0)], "panned", rate=RATE)
    gaps = np.concatenate([recording, np.zeros((2, 8 * RATE), np.float32), recording], axis=1)
    scene = listen_long(blocks_of(gaps, RATE), RATE, setup="panned", count=1, window=4, overlap=0)
    assert scene.azimuths == [pytest.approx(20, abs=2)]
    silence = listen_long([np.zeros((2, RATE), np.float32)], RATE)
    assert silence.sources == ()


def test_invalid_windows_are_refused():
    with pytest.raises(SpatialError, match="no sound at all"):
        listen_long([], RATE)
    with pytest.raises(SpatialError, match="at most half"):
        listen_long([np.ones((2, RATE))], RATE, window=4, overlap=3)
