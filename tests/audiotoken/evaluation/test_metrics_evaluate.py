"""The evaluation from clips to table: who is compared with whom, what is written, what is refused."""

import csv
import json
import re

import numpy as np
import pytest
import soundfile
from PIL import Image

from audiotoken.errors import DataError, OptionError
from audiotoken.evaluation.clips import Example, collect_examples, find_picture
from audiotoken.evaluation.evaluate import draw_derangement, evaluate
from audiotoken.evaluation.table import EvaluationReport

JUDGES = {"model": "mini", "clip": "a", "wav2clip": "b", "features": "c", "rate": 16_000}


@pytest.fixture
def clips(tmp_path):
    """dog 3, rain 2, one of no label."""
    rng = np.random.default_rng(0)
    for name in ("dog/a", "dog/b", "dog/c", "sea_waves/a", "sea_waves/d"):
        path = tmp_path / "clips" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(8000), 8000)
    return tmp_path / "clips"


def pictures(folder, names, colour=lambda i: (40 * i, 10, 90)):
    for i, name in enumerate(names):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), colour(i)).save(path)
    return folder


def test_labels_are_sub_folders_and_take_turns(clips):
    found = collect_examples(clips, 3)
    assert [(each.name, each.label, each.word) for each in found] == [
        ("dog/a.wav", "dog", "dog"), ("dog/b.wav", "dog", "dog"), ("sea_waves/a.wav", "sea_waves", "wave"),
    ]  # fmt: skip
    assert len(collect_examples(clips)) == 5
    assert collect_examples(clips, 2, words={"dog": "old hound"})[0].word == "old hound"
    assert collect_examples(clips, 2, words={})[1].word == "sea waves"


def test_a_table_of_esc_gives_labels_and_folds(clips):
    rows = "path,label,fold\ndog/a.wav,dog,1\nsea_waves/a.wav,sea_waves,4\nsea_waves/d.wav,sea_waves,4\n"
    (clips / "metadata.csv").write_text(rows)
    assert [each.name for each in collect_examples(clips, folds=[4])] == ["sea_waves/a.wav", "sea_waves/d.wav"]


def test_synthetic_clips_are_repeatable_and_cycle_through_words():
    first, again = collect_examples("synthetic", 3), collect_examples("synthetic", 3)
    assert [each.word for each in first] == sorted(["dog", "rooster", "baby"])
    assert np.array_equal(first[0].load_signal(16_000), again[0].load_signal(16_000))
    assert first[0].load_signal(16_000).shape == (64_000,)


def test_a_picture_is_found_by_name_whatever_its_suffix(tmp_path):
    folder = pictures(tmp_path, ["dog/a", "b", "c.wav"])
    assert find_picture(folder, "dog/a.wav") == folder / "dog" / "a.png"
    assert find_picture(folder, "dog/b.wav") == folder / "b.png"
    assert find_picture(folder, "c.wav") == folder / "c.wav.png"
    with pytest.raises(OptionError, match="There is no picture of dog/z"):
        find_picture(folder, "dog/z.wav")


@pytest.mark.parametrize("count", [2, 3, 17])
def test_derangement_has_no_fixed_points(count):
    for seed in range(20):
        order = draw_derangement(count, seed)
        assert sorted(order) == list(range(count)) and all(i != j for i, j in enumerate(order))
    assert draw_derangement(17, 1) != draw_derangement(17, 2)


def test_the_table_has_means_intervals_and_judges(tmp_path):
    examples = [Example(f"{i}.wav", (np.zeros(9), 8000), "dog", "dog") for i in range(4)]
    report = EvaluationReport(examples, [0, 1], ["dog", "cat"], JUDGES, 200)
    scores = [{"aic": np.array([1.0, 1, 1, 0]), "ais": np.full(4, 0.25)}, {"aic": np.ones(4), "ais": np.full(4, 0.75)}]
    report.add("text", scores, None, None)
    value, low, high = report.scores["text"]["aic"]
    assert value == 0.875 and low < 0.875 < high <= 1
    assert report.scores["text"]["ais"] == (0.5, 0.25, 0.75)  # seeds differ, examples do not
    table = re.sub(" +", " ", report.to_markdown())
    assert "| system | ais | aic % |" in table and "| 0.50 [0.25, 0.75] | 88 [" in table
    assert "16000 Hz" in report.to_markdown() and "seeds 0, 1" in report.to_markdown()
    report.write(tmp_path)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["systems"]["text"]["aic"]["value"] == 0.875 and written["settings"]["wav2clip"] == "b"
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert rows[0] | {"low": "", "high": ""} == {
        "system": "text", "score": "aic", "value": "0.875", "low": "", "high": "", "model": "mini", "clip": "a",
        "wav2clip": "b", "features": "c", "rate": "16000", "clips": "4", "seeds": "0 1",
    }  # fmt: skip
    singles = list(csv.DictReader((tmp_path / "examples.csv").open()))
    assert len(singles) == 8 and singles[3]["aic"] == "0.0000" and singles[7]["seed"] == "1"


def test_pictures_of_a_folder_are_judged(clips, tmp_path):
    names = [each.name.removesuffix(".wav") for each in collect_examples(clips)]
    folder = pictures(tmp_path / "pictures", names)
    page = tmp_path / "page.html"
    table = evaluate(clips, pictures=folder, real=folder, resamples=50, out=tmp_path / "out", report=page)
    assert "given pictures" in page.read_text("utf-8") and page.read_text("utf-8").count("<img") == len(names)
    scores = json.loads((tmp_path / "out" / "metrics.json").read_text())["systems"]
    assert list(scores) == ["given", "random"] and "given pictures" in table
    given = {name: each["value"] for name, each in scores["given"].items()}
    assert given["iis"] == pytest.approx(1) and given["iis_win"] == 1  # they are their own real pictures
    assert given["clip_fid"] == pytest.approx(0, abs=1e-6) and given["fid"] == pytest.approx(0, abs=1e-6)
    assert scores["random"]["iis_win"]["value"] < 0.9 and "fid" not in scores["random"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "examples.csv", "metrics.json", "table.csv", "table.md",
    ]  # fmt: skip


@pytest.mark.slow
def test_text_beats_a_random_clip_and_pictures_are_kept(tmp_path):
    options = {"n": 4, "systems": ["text", "random"], "steps": 6, "resamples": 50, "out": tmp_path}
    evaluate("synthetic", **options)
    scores = json.loads((tmp_path / "metrics.json").read_text())["systems"]
    for name in ("named", "aic", "iis_z"):
        assert scores["text"][name]["value"] > scores["random"][name]["value"], name
    drawn = {path: path.stat().st_mtime_ns for path in (tmp_path / "pictures").glob("*/*.png")}
    assert len(drawn) == 4
    evaluate("synthetic", **options)
    assert drawn == {path: path.stat().st_mtime_ns for path in (tmp_path / "pictures").glob("*/*.png")}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clips": "nowhere"}, "There is no folder nowhere"),
        ({"n": 1}, "expected at least 2"),
        ({"systems": ["tekst"]}, "Got systems=tekst"),
        ({"systems": ["given"]}, "pass pictures=FOLDER"),
        ({"seeds": []}, "expected at least one of each"),
        ({"steps": 0}, "Got steps=0"),
        ({"n": 2, "classes": ["dog"]}, "The class 'rooster'"),
        ({"folds": [1], "clips": "."}, "leave them out"),
        ({"clips": "none-*.tar"}, "none-"),
        ({"clips": "wrong/*.tar"}, "Found no sample in 1 shards"),
    ],
)
def test_invalid_options_are_errors_and_leave_nothing(options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / "0.tar").write_text("no archive")
    with pytest.raises((OptionError, DataError), match=words):
        evaluate(**{"out": tmp_path / "out", **options})
    assert [path.name for path in tmp_path.iterdir()] == ["wrong"]


def test_judges_of_different_widths_are_refused(tmp_path):
    from audiotoken.wav2clip import Wav2CLIP

    Wav2CLIP(4, (32, 24, 12)).save_pretrained(tmp_path / "ears")
    with pytest.raises(OptionError, match=r"Got embeddings 12 wide from Wav2CLIP .* and 64 from CLIP mini"):
        evaluate("synthetic", n=2, wav2clip=str(tmp_path / "ears"), out=tmp_path / "out")


def test_the_config_has_the_parameters_of_the_function():
    import inspect

    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    with initialize_config_module("audiotoken.configs", version_base=None):
        config = OmegaConf.to_container(compose("evaluate", ["folds=[4]", "out=here"]))
    parameters = inspect.signature(evaluate).parameters
    assert set(config) == {name for name in parameters if not name.startswith("on_")}
    for name in set(config) - {"folds", "out"}:
        default = parameters[name].default
        assert config[name] == (list(default) if isinstance(default, tuple) else default), name
