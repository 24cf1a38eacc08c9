"""Simulated recordings with a known scene."""

import numpy as np
import pytest
from spatial_sounds import RATE, bursts

from spatial.errors import SpatialError
from spatial.listening import listen
from spatial.matching import match
from spatial.setups import make_setup
from spatial.simulation import simulate


def azimuths(recording: np.ndarray, rate: int = RATE, **options: object) -> list[float]:
    return sorted(listen(recording, rate, **options).azimuths)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["panned", "ortf", "binaural", "spaced"])
def test_31_degrees_in_31_out(kind: str) -> None:
    recording = simulate([(bursts(1), 31.0)], kind, rate=RATE)
    assert azimuths(recording, setup=kind) == pytest.approx([31.0], abs=1.0)


@pytest.mark.parametrize("kind", ["panned", "ortf", "binaural"])
def test_two_sources_of_an_unknown_setup(kind: str) -> None:
    recording = simulate([(bursts(1, low=0.5), -25.0), (bursts(2, low=0.5), 32.0)], kind, rate=RATE)
    scene = listen(recording, RATE)
    assert scene.setup == kind
    assert sorted(scene.azimuths) == pytest.approx([-25.0, 32.0], abs=3.0)


def test_swapped_channels_mirror_the_azimuths() -> None:
    recording = simulate([(bursts(3, low=0.5), -40.0), (bursts(4, low=0.5), 15.0)], "ortf", rate=RATE)
    assert azimuths(recording[::-1]) == pytest.approx([-a for a in reversed(azimuths(recording))], abs=0.2)


def test_gain_and_polarity_of_both_channels_do_not_matter() -> None:
    recording = simulate([(bursts(3), 22.0)], "ortf", rate=RATE)
    plain = azimuths(recording)
    for gain in (0.01, 3.0, -1.0):
        assert azimuths(gain * recording) == pytest.approx(plain, abs=0.2), gain


def test_an_inverted_channel_is_inverted_back_with_a_note() -> None:
    recording = simulate([(bursts(3), 20.0), (bursts(5), -20.0)], "ortf", rate=RATE)
    scene = listen(recording * np.array([[1], [-1]], np.float32), RATE)
    assert scene.setup == "ortf" and any("inverted polarity" in note for note in scene.notes)
    assert sorted(scene.azimuths) == pytest.approx(azimuths(recording, setup="ortf"), abs=0.5)


def test_a_moving_source_has_a_path() -> None:
    recording = simulate([(bursts(6, low=0.1), [(0.0, -50.0), (3.0, 50.0)])], "ortf", rate=RATE)
    scene = listen(recording, RATE)
    assert len(scene.sources) == 1 and scene.sources[0].moves
    errors = [scene.sources[0].azimuth_at(t) - (-50 + 100 * t / 3) for t in np.arange(0.2, 2.8, 0.1)]
    assert np.mean(np.abs(errors)) < 4


def test_a_moving_source_beside_a_fixed_one() -> None:
    sources = [(bursts(6, 4.0, 0.5), [(0.0, -55.0), (4.0, 55.0)]), (bursts(9, 4.0, 0.5), -30.0)]
    scene = listen(simulate(sources, "ortf", rate=RATE), RATE, setup="ortf")
    still = [source for source in scene.sources if not source.moves]
    assert len(scene.sources) == 2 and len(still) == 1
    assert still[0].direction.azimuth == pytest.approx(-30, abs=4)


def test_simulating_the_estimated_scene_gives_the_same_azimuths() -> None:
    first = simulate([(bursts(1, low=0.5), -30.0), (bursts(2, low=0.5), 25.0)], "panned", rate=RATE)
    scene = listen(first, RATE, setup="panned")
    again = simulate(scene.sources, "panned", rate=RATE)
    assert azimuths(again, setup="panned") == pytest.approx(sorted(scene.azimuths), abs=1.0)


def test_each_source_sounds_like_itself() -> None:
    voices = bursts(1, low=0.5), bursts(2, low=0.5)
    scene = listen(simulate([(voices[0], -30.0), (voices[1], 30.0)], "panned", rate=RATE), RATE)
    alike = np.array([[abs(np.corrcoef(source.signal, voice)[0, 1]) for voice in voices] for source in scene.sources])
    pairs = match(alike, threshold=0.8)
    assert all(pair.source is not None and pair.token is not None for pair in pairs)
    assert all((scene.azimuths[pair.source] < 0) == (pair.token == 0) for pair in pairs)


def test_active_spans_and_levels() -> None:
    signal = np.concatenate([np.zeros(RATE, np.float32), bursts(1, 1.0, 0.0), np.zeros(RATE, np.float32)])
    scene = listen(simulate([(signal, 20.0)], "panned", rate=RATE), RATE)
    ((start, stop),) = scene.sources[0].active
    assert start == pytest.approx(1.0, abs=0.1) and stop == pytest.approx(2.0, abs=0.1)
    assert scene.sources[0].level == pytest.approx(-23, abs=2)  # -20 dB in all, of two channels' mean
    mono = listen(signal[None], RATE)
    ((start, stop),) = mono.sources[0].active
    assert (start, stop) == (pytest.approx(1.0, abs=0.1), pytest.approx(2.0, abs=0.1))
    loud = 10 * np.log10(np.square(signal[RATE : 2 * RATE]).mean())
    assert mono.sources[0].level == pytest.approx(loud, abs=1)  # while it sounds: a third of the time


@pytest.mark.parametrize(
    ("odd", "note"),
    [
        (np.zeros((2, RATE), np.float32), "The recording is silent"),
        (np.zeros((2, 0), np.float32), "The recording is silent"),
        (bursts(1)[None], "The recording has one channel"),
        (np.stack([bursts(1), bursts(1)]), "Both channels are the same"),
        (np.stack([bursts(1), 0 * bursts(1)]), "The right channel is silent"),
        (np.stack([0 * bursts(1), bursts(1)]), "The left channel is silent"),
    ],
)
def test_recordings_without_two_sides_get_a_note(odd: np.ndarray, note: str) -> None:
    scene = listen(odd, RATE)
    assert any(note in each for each in scene.notes)
    assert all(source.direction.azimuth == 0 for source in scene.sources)


def test_invalid_samples_and_clipping_get_a_note() -> None:
    recording = np.clip(20 * simulate([(bursts(1), 31.0)], "ortf", rate=RATE), -1, 1)
    recording[0, 100] = np.nan
    scene = listen(recording, RATE, setup="ortf")
    assert len(scene.notes) == 2
    assert scene.azimuths == pytest.approx([31.0], abs=3.0)


def test_eight_bits_are_enough() -> None:
    recording = simulate([(bursts(1), -31.0)], "ortf", rate=RATE)
    assert azimuths(np.round(recording * 127) / 127, setup="ortf") == pytest.approx([-31.0], abs=2.0)


@pytest.mark.parametrize("seconds", [0.01, 0.1, 1.0])
def test_short_recordings_do_not_crash(seconds: float) -> None:
    scene = listen(simulate([(bursts(1, 1.0, 0.0)[: round(seconds * RATE)], 30.0)], "panned", rate=RATE), RATE)
    assert all(np.isfinite(source.direction.azimuth) for source in scene.sources)
    assert seconds < 1 or scene.azimuths == pytest.approx([30.0], abs=1)


@pytest.mark.parametrize("rate", [8000, 96_000])
def test_other_rates(rate: int) -> None:
    recording = simulate([(bursts(1, 1.5, 0.1, rate), 31.0)], "ortf", rate=rate)
    assert azimuths(recording, rate, setup="ortf") == pytest.approx([31.0], abs=2.0)


def test_the_same_twice() -> None:
    recording = simulate([(bursts(1), 31.0), (bursts(2), -10.0)], "ortf", rate=RATE, rt60=0.3)
    first, second = listen(recording, RATE), listen(recording, RATE)
    assert first.azimuths == second.azimuths
    assert all(np.array_equal(a.signal, b.signal) for a, b in zip(first.sources, second.sources, strict=True))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"setup": "quad"}, {"max_sources": 0}, {"count": 9}, {"count": 2, "max_sources": 1}),
        {"setup": "ortf", "spacing": 0.3},
    ],
)
def test_invalid_options_are_refused_in_a_sentence(wrong: dict) -> None:
    with pytest.raises(SpatialError, match=r"Got .*;"):
        listen(simulate([(bursts(1), 31.0)], "ortf", rate=RATE), RATE, **wrong)


def test_more_than_two_channels_are_refused() -> None:
    with pytest.raises(SpatialError, match="mix it down"):
        listen(np.zeros((6, 100), np.float32), RATE)


def test_progress_reaches_one() -> None:
    progress: list[float] = []
    listen(simulate([(bursts(1), 31.0)], "panned", rate=RATE), RATE, progress=progress.append)
    assert progress == sorted(progress) and progress[-1] == 1.0


@pytest.mark.parametrize("recording", [np.zeros((2, RATE), np.float32), bursts(1)[None]], ids=["silent", "mono"])
def test_progress_reaches_one_without_localisation(recording: np.ndarray) -> None:
    progress: list[float] = []
    listen(recording, RATE, progress=progress.append)
    assert progress[-1] == 1.0


def test_progress_reaches_one_without_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spatial.listening._estimate_directions", lambda *_: ([], []))
    progress: list[float] = []
    scene = listen(simulate([(bursts(1), 31.0)], "panned", rate=RATE), RATE, progress=progress.append)
    assert not scene.sources and progress[-1] == 1.0


def test_a_given_setup_is_kept() -> None:
    recording = simulate([(bursts(1), 31.0)], "ortf", rate=RATE)
    scene = listen(recording, RATE, setup=make_setup("spaced", spacing=0.3))
    assert (scene.setup, scene.spacing, scene.confidence) == ("spaced", 0.3, 1.0)


@pytest.mark.parametrize(("quieter", "found"), [(20, 2), (None, 1)])
def test_the_noise_of_eight_bits_is_no_source(quieter, found):
    """A chord at a desk, as 8 bits keep it; a quiet noise at the other side is a source all the same."""
    seconds = np.arange(2 * RATE) / RATE
    chord = sum(0.2 / k * np.sin(2 * np.pi * 300 * k * seconds) for k in (1, 2, 3, 5))
    recording = np.stack([0.5 * chord, 0.9 * chord])
    if quieter:
        noise = np.random.default_rng(0).standard_normal(len(seconds))
        recording[0] += noise * recording.std() / 10 ** (quieter / 20)
    assert len(listen(np.round(recording * 128) / 128, RATE).sources) == found
