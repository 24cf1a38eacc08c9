"""Rooms, scenes and networks for training the listener."""

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.world.training import responses
from experiments.world.training.fit_counting import draw_cues, fit_counting
from experiments.world.training.fit_listening import Net, fit_directions, fit_setups, train_classifier
from experiments.world.training.listening_features import CONFUSED, compute_scene_features, make_shard
from experiments.world.training.measure_listening import load_features, measure_directions, measure_setups
from experiments.world.training.places import choose_apart
from experiments.world.training.recordings import Recorder, SoundPool, draw_azimuths, remove_silence
from experiments.world.training.responses import RATE, Images, Pair, draw_images, respond_pair
from spatial import learned
from spatial.maps import COUNT, MAPS, TIMED
from spatial.setups import make_setup, steering_vectors


@pytest.mark.parametrize(
    ("pair", "setup"),
    [
        (Pair("ortf", 0.17, (-55, 55), (0.5, 0.5)), make_setup("ortf")),
        (Pair("spaced", 0.5), make_setup("spaced")),
        (Pair("xy", 0.0, (-45, 45), (0.5, 0.5)), make_setup("xy")),
        (Pair("ms", 0.0, (0, -90), (0.5, 0.0)), make_setup("ms")),
    ],
)
def test_direct_sound_arrives_as_the_steering_vectors_say(pair: Pair, setup) -> None:
    for azimuth in (-60.0, 0.0, 35.0):
        angle = np.deg2rad(azimuth)
        offset = 2.0 * np.array([[np.sin(angle), np.cos(angle), 0.0]])
        images = Images(offset, np.ones(1), np.zeros(1, int))
        taps = respond_pair(images, pair, 0.05)
        spectra = np.fft.rfft(taps, 4096, axis=1)
        band = slice(100, 700)  # 0.6 to 4 kHz
        known = steering_vectors(setup, azimuth, np.fft.rfftfreq(4096, 1 / RATE)[band])[0]
        measured = spectra[:, band].T / np.linalg.norm(spectra[:, band], axis=0)[:, None]
        assert np.abs((known.conj() * measured).sum(axis=1)).min() > 0.99


@pytest.mark.parametrize("rt60", [0.25, 0.6])
def test_rooms_reverberate_about_as_long_as_asked(rt60: float) -> None:
    random, seconds = np.random.default_rng(1), []
    for _ in range(4):
        taps = respond_pair(draw_images(rt60, (1.0, 2.0), 1.0, random)[3], Pair("spaced", 0.5), 1.2 * rt60)
        decay = np.cumsum(np.square(taps[0][::-1]))[::-1]
        level = 10 * np.log10(decay / decay[0] + 1e-12)
        seconds.append(2 * (np.argmax(level < -30)) / RATE)
    assert 0.6 * rt60 < np.median(seconds) < 1.6 * rt60


def test_azimuths_are_apart() -> None:
    random = np.random.default_rng(0)
    for count in (2, 3, 4):
        assert np.diff(np.sort(draw_azimuths(count, 45.0, random))).min() > 14.9
        chosen = choose_apart(np.linspace(-80, 80, 12), count, random)
        assert len(set(chosen)) == count


def test_a_short_event_is_repeated() -> None:
    sound = np.zeros(4 * RATE, np.float32)
    sound[RATE : RATE + 4000] = np.random.default_rng(0).standard_normal(4000)
    long = remove_silence(sound, np.random.default_rng(1))
    loud = np.abs(long).reshape(-1, RATE // 2).max(axis=1)
    assert len(long) == 5 * RATE and (loud > 0.5).all()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small rooms of each kind of microphones; no measured head is at hand in tests."""
    folder = tmp_path_factory.mktemp("bank")
    for number, kind in enumerate(("spaced", "ortf", "nos", "xy", "ms")):
        facts, full, dry = responses.draw_room(kind, [], np.random.default_rng(number))
        responses.save_room(folder / f"{number}.npz", facts, full, dry)
    return folder


@pytest.fixture(scope="module")
def recorder(bank: Path) -> Recorder:
    random = np.random.default_rng(0)
    sounds = [
        random.standard_normal(5 * RATE).astype(np.float32) * np.sin(np.arange(5 * RATE) / s)
        for s in (900, 4000, 20000)
    ]
    return Recorder(SoundPool(sounds, ["dog", "rain", "fire"], ["real"] * 3), bank, shares=(1, 0, 0))


@pytest.mark.parametrize("kind", ["panned", "spaced", "ortf", "nos", "xy", "ms", "other"])
def test_scenes_are_the_sum_of_their_images_and_repeatable(recorder: Recorder, kind: str) -> None:
    one, two = (recorder.record(np.random.default_rng(5), kind, 2, plain=True) for _ in range(2))
    assert one.setup == kind and len(one.azimuths) == 2 and one.active.shape[0] == 2
    assert np.abs(one.recording - one.images.sum(axis=0)).max() < 1e-5
    assert np.array_equal(one.recording, two.recording)


def test_hard_scenes_are_in_rooms_with_a_sparse_sound_beside_a_dense_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, rt60 in enumerate((0.0, 0.3, 0.0)):
        monkeypatch.setattr(responses, "_draw_setup", lambda kind, rng, living, rt60=rt60: (rt60, Pair(kind, 0.5)))
        responses.save_room(tmp_path / f"{number}.npz", *responses.draw_room("spaced", [], np.random.default_rng(1)))
    monkeypatch.setattr("experiments.world.training.recordings.HARD", {"spaced": 1.0})
    monkeypatch.setattr("experiments.world.training.recordings.HARD_COUNTS", (0, 1, 0, 0))
    dense = np.random.default_rng(0).standard_normal(5 * RATE).astype(np.float32)
    pool = SoundPool([dense, dense * 2, dense * (np.arange(5 * RATE) < RATE)], ["rain", "fire", "dog"], ["real"] * 3)
    recorder = Recorder(pool, tmp_path, shares=(1, 0, 0))
    assert recorder.sparse == [False, False, True]
    recorded = [recorder.record_hard(np.random.default_rng(seed)) for seed in range(8)]
    assert all(one.setup == "spaced" and len(one.sounds) == 2 and one.facts["rt60"] == 0.3 for one in recorded)
    uneven = [recorder.record(np.random.default_rng(seed), "panned", 2, uneven=True).sounds for seed in range(8)]
    assert all(2 in sounds for sounds in uneven)


def test_wrong_assumptions_are_other_setups(recorder: Recorder) -> None:
    for seed in range(6):
        random = np.random.default_rng(seed)
        _, seen, truths = compute_scene_features(recorder.record(random, "ortf", 2), (seed,), random)
        assert len(seen) == len(truths) and truths[0].right and truths[0].assumed == "ortf"
        assert all(not truth.right and truth.assumed != "ortf" for truth in truths[1:])
    assert set(CONFUSED) == {*learned.load_network("recognise").classes}


def test_shards_are_fitted_and_measured(recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.world.training.listening_features.SHARD", 8)
    monkeypatch.setattr("experiments.world.training.fit_listening.BATCH", 4)
    shares = {kind: 0.2 for kind in ("panned", "ortf", "xy", "ms", "other")}
    monkeypatch.setattr("experiments.world.training.recordings.KINDS", shares)
    make_shard(recorder, 0, 0, tmp_path / "0-0000.npz")
    features = load_features(tmp_path)
    assert len(features.scenes) == 8 and len(features.truths) == len(features.overall) >= 8
    weights = tmp_path / "weights"
    weights.mkdir()
    fit_setups(tmp_path, into=weights, epochs=1)
    fit_directions(tmp_path, into=weights, epochs=1)
    cues, numbers = draw_cues(recorder, 6, 0, plain=0.5, hard=0.0)
    assert len(cues) == len(numbers) and numbers.min() >= 0
    fit_counting(cues, numbers, weights / "counting.npz", epochs=1)
    with np.load(weights / "counting.npz") as stored:
        assert stored["classes"].tolist() == ["1", "2", "3", "4"] and len(stored["mean"]) == len(cues[0])
    written = sorted(weights.iterdir())
    assert [path.name for path in written] == ["counting.npz", "heatmap.npz", "recognise.npz"]
    assert sum(path.stat().st_size for path in written) < 4e6
    assert any("confidence" in line for line in measure_setups(features))
    assert "validity" in measure_directions(features)[-1]


def test_a_network_that_is_fitted_further_begins_as_it_is() -> None:
    shipped = learned.load_network("recognise")
    features = shipped.mean + shipped.scale * np.random.default_rng(4).standard_normal((3, len(shipped.mean)))
    inputs = torch.tensor(((features - shipped.mean) / shipped.scale).clip(-6, 6).astype(np.float32))
    targets, weights = torch.zeros(3, dtype=torch.long), torch.ones(3)
    net = train_classifier(inputs, targets, weights, 0, epochs=0, start=shipped).eval()
    assert torch.softmax(net(inputs), 1).detach().numpy() == pytest.approx(
        shipped.predict_probabilities(features), abs=1e-3
    )


def test_the_package_computes_what_was_trained() -> None:
    net = Net().eval()
    weights = {key: value.numpy() for key, value in net.state_dict().items()}
    overall, timed = torch.randn(1, MAPS, COUNT), torch.randn(1, TIMED, 13, COUNT)
    with torch.no_grad():
        trained = net(overall, timed)
    computed = learned._forward(weights, overall[0].numpy(), timed[0].numpy())
    for one, two in zip(trained, computed, strict=True):
        assert np.abs(one[0].numpy() - two).max() < 1e-4
