"""The spatial benchmark: known answers for its scores, and a run on simulated scenes."""

import csv
import inspect
import json

import numpy as np
import pytest
import soundfile
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from PIL import Image

from audiotoken.errors import OptionError
from experiments.benchmarks import spatial as bench
from experiments.benchmarks.public_methods import localise, separate, track
from experiments.benchmarks.spatial_conditions import format_conditions
from experiments.benchmarks.spatial_goals import GOALS
from experiments.benchmarks.spatial_report import make_table
from experiments.benchmarks.spatial_score import Scored, fit_length, score, score_scene, score_stems
from spatial.doa_baselines import METHODS, localise_by
from spatial.errors import SpatialError
from spatial.setups import make_setup
from spatial.simulation import simulation

RATE = 16_000


def bursts(seconds, seed, every=0.5, at=0.0):
    time = np.arange(round(seconds * RATE)) / RATE + at
    return 0.2 * np.random.default_rng(seed).standard_normal(len(time)) * (time % every < every / 2)


TWO = [(bursts(3, 1), -22.0), (bursts(3, 2, at=0.25), 33.0)]


def write_scene(folder, name, sources, setup, labels, moving=False):
    """In the format of the benchmark's scenes."""
    made = simulation(sources, setup, rate=RATE)
    (folder / name).mkdir(parents=True)
    soundfile.write(folder / name / "mix.wav", made.recording.T, RATE)
    told = []
    for number, (one, label) in enumerate(zip(made.scene.sources, labels, strict=True)):
        soundfile.write(folder / name / f"src{number}.wav", one.image.T, RATE)
        azimuth = one.direction.azimuth
        told.append({"azimuth_deg": azimuth, "label": label, "moving": one.moves, "image": f"src{number}.wav"})
        told[-1] |= {"track": [list(point) for point in one.path]} if one.moves else {}
    truth = {"setup": setup, "n_sources": len(told), "rt60_s": 0.0, "snr_db": None, "moving": moving, "mix": "mix.wav"}
    truth |= {"fs": RATE, "sources": told}
    (folder / name / "truth.json").write_text(json.dumps(truth))
    return truth


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scene(folder, "panned-k2-dry/00", TWO, "panned", ("dog", "rain"))
    write_scene(folder, "panned-k2-dry/01", TWO, "panned", ("dog", "rain"))
    moving = [(bursts(3, 3, 0.1), [(0.0, -40.0), (3.0, 40.0)])]
    write_scene(folder, "panned-k1-dry-moving/00", moving, "panned", ("dog",), moving=True)
    index = ["panned-k2-dry/00", "panned-k2-dry/01", "panned-k1-dry-moving/00"]
    (folder / "index.json").write_text(json.dumps(index))
    return folder


TRUTH = {
    **{"setup": "ab50", "n_sources": 2, "moving": False, "rt60_s": 0.3, "snr_db": None},
    "sources": [
        {"azimuth_deg": -40.0, "label": "dog", "moving": False},
        {"azimuth_deg": 5.0, "label": "rain", "moving": False},
    ],
}


def test_perfect_is_perfect():
    guess = {"sources": TRUTH["sources"][::-1], "setup": "spaced", "wall_s": 0.5}
    values = score_scene(TRUTH, guess)
    assert all(values[name] == [True, True] for name in ("recalled", "side", "labelled", "precise"))
    assert values["error"] == [0, 0] and values["count"] == values["setup"] == [True] and values["wall"] == [0.5]


def test_missing_and_wrong_sources_and_swapped_labels():
    few = score_scene(TRUTH, {"sources": [{"azimuth_deg": -34.0, "label": "rain"}]})
    assert few["recalled"] == [True, False] and few["precise"] == [True] and few["count"] == [False]
    assert few["side"] == [True, False] and few["error"] == [6.0] and few["labelled"] == [False, False]
    wrong = score_scene(TRUTH, {"sources": [{"azimuth_deg": -40.0}, {"azimuth_deg": 16.0}], "setup": "ortf"})
    assert wrong["side"] == wrong["recalled"] == [True, False] and wrong["setup"] == [False]
    nothing = score_scene(TRUTH, {"sources": []})
    assert nothing["recalled"] == nothing["side"] == [False, False] and "error" not in nothing


def test_moving_sources_have_a_track_error():
    moving = {"azimuth_deg": 0.0, "label": "dog", "moving": True, "track": [[0, -30], [1, 0], [2, 30]]}
    truth = TRUTH | {"moving": True, "n_sources": 1, "sources": [moving]}
    values = score_scene(truth, {"sources": [{"azimuth_deg": 0.0}]})
    assert values["track"] == [pytest.approx(20)] and values["side"] == []
    assert score_scene(truth, {"sources": [{"azimuth_deg": 0.0, "track": [[0, -30], [2, 30]]}]})["track"] == [0.0]


def test_stems_are_scored_against_the_images(scenes):
    folder = scenes / "panned-k2-dry/00"
    truth = json.loads((folder / "truth.json").read_text())
    images = [soundfile.read(folder / f"src{k}.wav")[0].T for k in (1, 0)]
    perfect = score_stems(truth, [images[0], images[1][0]], folder)  # the second is mono
    assert min(perfect["sdr"]) > 35
    mixture = soundfile.read(folder / "mix.wav")[0].T
    assert score_stems(truth, [mixture, mixture], folder)["sdri"] == pytest.approx([0, 0], abs=1e-6)
    assert score_stems(truth | {"moving": True}, [], folder) == {}
    assert fit_length(np.ones((2, 5)), 3).shape == (2, 3) and fit_length(np.ones(5), 8).tolist() == [1] * 5 + [0] * 3


def test_goals_select_scenes_and_pool_values():
    two = Scored(TRUTH, {"recalled": [True, False], "precise": [True], "count": [True], "sdri": [3.0, 5.0]})
    noisy = Scored(TRUTH | {"snr_db": 10}, {"recalled": [True, True], "precise": [True, True], "count": [False]})
    goals = {goal.name: goal for goal in GOALS}
    assert goals["F at 10°, static, %"].value([two, noisy]) == pytest.approx(200 / 3)
    assert goals["F at 10°, noisy, %"].value([two, noisy]) == 100
    assert goals["number correct, static, %"].value([two, noisy]) == 100
    assert goals["SI-SDR improvement, 2 reverberant, dB"].value([two, noisy]) == 4
    assert goals["SI-SDR improvement, 2 dry, dB"].value([two, noisy]) is None
    assert len(goals) == len(GOALS) == 17


def test_conditions_are_separate():
    """Dry and in a room, by setup; errors of moving sources have their own column."""

    def one(setup, room, kind, **values):
        truth = {"setup": setup, "rt60_s": room, "moving": kind == "moving", "snr_db": None, "n_sources": 1}
        return Scored(truth, {name: [value] for name, value in values.items()})

    asked = [one("ortf", 0.0, "static", side=True, count=False), one("ortf", 0.3, "static", side=False, count=True)]
    told = [one("ortf", 0.0, "static", error=2.0), one("ortf", 0.0, "moving", track=7.0, error=7.0)]
    head, _, dry, room = format_conditions({"listen": asked, "listen-count": told}).splitlines()
    names = [cell.strip() for cell in head.split("|")[1:-1]]
    dry, room = (dict(zip(names, (cell.strip() for cell in row.split("|")[1:-1]), strict=True)) for row in (dry, room))
    assert (dry["room"], dry["scenes"], dry["side correct, %"], dry["number correct, %"]) == ("dry", "1", "100", "0")
    assert dry["error of sources found, ° \\*"] == "2.0" and dry["track error, ° \\*"] == "7.0"
    assert (room["room"], room["side correct, %"], room["track error, ° \\*"]) == ("reverberant", "0", "")
    assert format_conditions({"histogram": asked}) == ""


def test_goals_use_the_run_with_or_without_count():
    told, found = Scored(TRUTH, {"recalled": [True]}), Scored(TRUTH, {"recalled": [False], "precise": []})
    lines = {
        line["goal"].name: line
        for line in make_table({"listen": [found], "listen-count": [told], "ilrma-count": [told]})
    }
    assert lines["within 10°, static, %"]["listen"] == 100 and lines["F at 10°, static, %"]["listen"] == 0
    assert lines["within 10°, static, %"]["ilrma"] is None  # it gives no directions


@pytest.mark.slow
def test_a_whole_run(scenes, tmp_path):
    said = bench.bench_spatial(
        scenes=str(scenes), systems=["listen-setup", "histogram", "auxiva"], limit=1, labels=False, out=str(tmp_path)
    )
    assert "| side correct, static, %" in said
    files = {
        "auxiva-count.json",
        "histogram.json",
        "histogram-count.json",
        "listen-setup.json",
        "listen-setup-count.json",
    }
    assert {path.name for path in tmp_path.glob("*.json")} == files
    told = json.loads((tmp_path / "histogram-count.json").read_text())
    assert told["given"] == ["setup", "count"] and set(told["scenes"]) == {
        "panned-k2-dry/00",
        "panned-k1-dry-moving/00",
    }
    assert sorted(one["azimuth_deg"] for one in told["scenes"]["panned-k2-dry/00"]["sources"]) == [
        pytest.approx(-22, abs=1),
        pytest.approx(33, abs=1),
    ]
    (moving,) = told["scenes"]["panned-k1-dry-moving/00"]["sources"]
    assert moving["track"][0][1] < -25 and moving["track"][-1][1] > 25
    rows = {row["goal"]: row for row in csv.DictReader((tmp_path / "rows.csv").open())}
    assert float(rows["error, panned dry, 2, °"]["listen-setup"]) < 3
    assert float(rows["SI-SDR improvement, 2 dry, dB"]["auxiva"]) > -30 and not rows["setup recognised, %"]["histogram"]
    Image.open(tmp_path / "chart.png").verify()
    assert score(scenes, tmp_path / "auxiva-count.json")[0].values["sdri"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scenes": "/no/such"}, "no index.json"),
        ({"only": "^cave"}, "matches none of 3 scenes"),
        ({"systems": ["ears"]}, "Got systems=ears"),
    ],
)
def test_invalid_options_are_refused_in_one_sentence(options, words, scenes, tmp_path):
    with pytest.raises(OptionError, match=words):
        bench.bench_spatial(**{"scenes": str(scenes), "out": str(tmp_path / "out"), **options})
    assert not (tmp_path / "out").exists()


def test_the_keys_of_the_config_are_parameters():
    with initialize_config_module("configs", version_base=None):
        config = OmegaConf.to_container(compose("bench_spatial"))
    parameters = inspect.signature(bench.bench_spatial).parameters
    assert set(config) == {name for name in parameters if name != "on_row"}
    assert tuple(config["systems"]) == bench.SYSTEMS and config["out"] == parameters["out"].default


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("setup", ["spaced", "binaural"])
def test_baselines_find_one_source(method, setup):
    recording = simulation([(bursts(2, 4), 31.0)], setup, rate=RATE).recording
    (found,) = localise_by(method, recording, RATE, make_setup(setup), count=1)
    assert found.azimuth == pytest.approx(31, abs=3 if setup == "spaced" else 12)
    (mirror,) = localise_by(method, recording[::-1], RATE, make_setup(setup), count=1)
    assert mirror.azimuth == pytest.approx(-found.azimuth, abs=1)


def test_baselines_need_delays():
    with pytest.raises(SpatialError, match="needs two channels with a delay"):
        localise_by("srp", np.ones((2, 999)), RATE, make_setup("xy"))
    with pytest.raises(SpatialError, match="expected one of srp"):
        localise_by("ears", np.ones((2, 999)), RATE, make_setup("ortf"))


@pytest.mark.parametrize("setup", ["panned", "xy", "spaced", "ortf", "ms"])
def test_histograms_find_two_that_take_turns(setup):
    recording = simulation(TWO, setup, rate=RATE).recording
    assert sorted(localise("histogram", recording, RATE, make_setup(setup), count=2)) == pytest.approx([-22, 33], abs=3)


def test_tracks_follow():
    recording = simulation([(bursts(3, 5, 0.1), [(0.0, -50.0), (3.0, 40.0)])], "spaced", rate=RATE).recording
    (path,) = track(recording, RATE, make_setup("spaced"), 1)
    assert all(azimuth == pytest.approx(-50 + 30 * time, abs=12) for time, azimuth in path)


def test_blind_separation_separates(scenes):
    folder = scenes / "panned-k2-dry/00"
    mixture = soundfile.read(folder / "mix.wav")[0].T
    truth = json.loads((folder / "truth.json").read_text())
    assert np.mean(score_stems(truth, separate("auxiva", mixture, RATE, 2), folder)["sdri"]) > 3
