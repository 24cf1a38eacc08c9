"""Who is where, of recordings whose truth is known because they were made here."""

import numpy as np
import pytest

from spatial.errors import SpatialError
from spatial.evidence import gather
from spatial.listening import listen
from spatial.localisation import localise
from spatial.matching import match
from spatial.recognise import recognise
from spatial.setups import make_setup
from spatial.simulation import simulate
from spatial.track import viterbi

RATE = 22_050


def bursts(seed: int, seconds: float = 3.0, low: float = 0.2, rate: int = RATE) -> np.ndarray:
    """Coloured noise that comes and goes: a voice of its own for each seed."""
    random = np.random.default_rng(seed)
    frames = round(seconds * rate)
    spectrum = np.fft.rfft(random.standard_normal(frames))
    frequencies = np.fft.rfftfreq(frames, 1 / rate)
    centre = random.uniform(500, 2500)
    shaped = np.fft.irfft(spectrum / (1 + ((frequencies - centre) / 900) ** 2), frames)
    gate = np.repeat(random.random(int(np.ceil(seconds / 0.12))) > low, round(0.12 * rate))[:frames]
    smooth = np.convolve(gate, np.hanning(200) / np.hanning(200).sum(), "same")
    signal = shaped * smooth
    return (0.1 * signal / np.sqrt(np.mean(signal**2) + 1e-12)).astype(np.float32)


def azimuths(recording: np.ndarray, rate: int = RATE, **options: object) -> list[float]:
    return sorted(listen(recording, rate, **options).azimuths)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["panned", "ortf", "binaural", "spaced"])
def test_31_degrees_in_31_out(kind: str) -> None:
    recording = simulate([(bursts(1), 31.0)], kind, rate=RATE)
    assert azimuths(recording, setup=kind) == pytest.approx([31.0], abs=1.0)


@pytest.mark.parametrize("kind", ["panned", "ortf", "binaural"])
def test_two_are_found_without_being_told_how_it_was_recorded(kind: str) -> None:
    recording = simulate([(bursts(1, low=0.5), -25.0), (bursts(2, low=0.5), 32.0)], kind, rate=RATE)
    scene = listen(recording, RATE)
    assert scene.setup == kind
    assert sorted(scene.azimuths) == pytest.approx([-25.0, 32.0], abs=3.0)


def test_channels_swapped_the_answer_is_mirrored() -> None:
    recording = simulate([(bursts(3, low=0.5), -40.0), (bursts(4, low=0.5), 15.0)], "ortf", rate=RATE)
    assert azimuths(recording[::-1]) == pytest.approx([-a for a in reversed(azimuths(recording))], abs=0.2)


def test_louder_softer_or_upside_down_in_both_channels_changes_nothing() -> None:
    recording = simulate([(bursts(3), 22.0)], "ortf", rate=RATE)
    plain = azimuths(recording)
    for gain in (0.01, 3.0, -1.0):
        assert azimuths(gain * recording) == pytest.approx(plain, abs=0.2), gain


def test_one_channel_upside_down_is_turned_over_and_said() -> None:
    recording = simulate([(bursts(3), 20.0), (bursts(5), -20.0)], "ortf", rate=RATE)
    scene = listen(recording * np.array([[1], [-1]], np.float32), RATE)
    assert scene.setup == "ortf" and any("inverted polarity" in note for note in scene.notes)
    assert sorted(scene.azimuths) == pytest.approx(azimuths(recording, setup="ortf"), abs=0.5)


def test_what_passes_by_has_a_path() -> None:
    recording = simulate([(bursts(6, low=0.1), [(0.0, -50.0), (3.0, 50.0)])], "ortf", rate=RATE)
    scene = listen(recording, RATE)
    assert len(scene.sources) == 1 and scene.sources[0].moves
    errors = [scene.sources[0].azimuth_at(t) - (-50 + 100 * t / 3) for t in np.arange(0.2, 2.8, 0.1)]
    assert np.mean(np.abs(errors)) < 4


def test_what_moves_and_what_stays_are_both_found() -> None:
    sources = [(bursts(6, 4.0, 0.5), [(0.0, -55.0), (4.0, 55.0)]), (bursts(9, 4.0, 0.5), -30.0)]
    scene = listen(simulate(sources, "ortf", rate=RATE), RATE, setup="ortf")
    still = [source for source in scene.sources if not source.moves]
    assert len(scene.sources) == 2 and len(still) == 1
    assert still[0].direction.azimuth == pytest.approx(-30, abs=4)


def test_simulate_listen_simulate_closes() -> None:
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


def test_it_says_when_each_sounds_and_how_loud() -> None:
    signal = np.concatenate([np.zeros(RATE, np.float32), bursts(1, 1.0, 0.0), np.zeros(RATE, np.float32)])
    scene = listen(simulate([(signal, 20.0)], "panned", rate=RATE), RATE)
    ((start, stop),) = scene.sources[0].active
    assert start == pytest.approx(1.0, abs=0.1) and stop == pytest.approx(2.0, abs=0.1)
    assert scene.sources[0].level == pytest.approx(-23, abs=2)  # -20 dB in all, of two channels' mean


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (np.zeros((2, RATE), np.float32), "The recording is silent"),
        (np.zeros((2, 0), np.float32), "The recording is silent"),
        (bursts(1)[None], "The recording has one channel"),
        (np.stack([bursts(1), bursts(1)]), "Both channels are the same"),
        (np.stack([bursts(1), 0 * bursts(1)]), "The right channel is silent"),
        (np.stack([0 * bursts(1), bursts(1)]), "The left channel is silent"),
    ],
)
def test_what_has_no_two_sides_is_said(odd: np.ndarray, said: str) -> None:
    scene = listen(odd, RATE)
    assert any(said in note for note in scene.notes)
    assert all(source.direction.azimuth == 0 for source in scene.sources)


def test_broken_samples_and_clipping_are_said_and_survived() -> None:
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


def test_told_how_many_it_finds_as_many() -> None:
    recording = simulate([(bursts(1), 31.0), (bursts(2), -31.0)], "ortf", rate=RATE)
    for count in (1, 2, 3):
        assert len(localise(recording, RATE, setup="ortf", count=count)) == count


@pytest.mark.parametrize("method", ["srp", "normmusic"])
def test_published_methods_behind_the_same_call(method: str) -> None:
    recording = simulate([(bursts(1), 31.0)], "ortf", rate=RATE)
    (found,) = localise(recording, RATE, setup="ortf", method=method, count=1)
    assert found.azimuth == pytest.approx(31, abs=6)


@pytest.mark.parametrize(
    "wrong", [{"setup": "quad"}, {"max_sources": 0}, {"count": 9}, {"setup": "ortf", "spacing": 0.3}]
)
def test_what_is_none_is_refused_in_a_sentence(wrong: dict) -> None:
    with pytest.raises(SpatialError, match=r"Got .*;"):
        listen(simulate([(bursts(1), 31.0)], "ortf", rate=RATE), RATE, **wrong)


def test_more_than_two_channels_are_refused() -> None:
    with pytest.raises(SpatialError, match="mix it down"):
        listen(np.zeros((6, 100), np.float32), RATE)


def test_progress_reaches_one() -> None:
    told: list[float] = []
    listen(simulate([(bursts(1), 31.0)], "panned", rate=RATE), RATE, progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0


def test_a_named_setup_is_not_questioned() -> None:
    recording = simulate([(bursts(1), 31.0)], "ortf", rate=RATE)
    scene = listen(recording, RATE, setup=make_setup("spaced", spacing=0.3))
    assert (scene.setup, scene.spacing, scene.confidence) == ("spaced", 0.3, 1.0)


def test_no_evidence_no_opinion() -> None:
    assert recognise(gather(np.zeros((2, 4000), np.float32), RATE)).confidence == 0


def test_viterbi_cannot_jump() -> None:
    score = np.zeros((6, 20))
    score[[0, 1, 2, 3, 4, 5], [2, 3, 4, 19, 6, 7]] = [1, 1, 1, 5, 1, 1]
    assert viterbi(score, 2, 0.0).tolist()[:3] == [2, 3, 4]
    assert np.abs(np.diff(viterbi(score, 2, 0.0))).max() <= 2
