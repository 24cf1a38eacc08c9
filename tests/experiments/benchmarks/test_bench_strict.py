"""The strict bench: shares are of what they say, and a debug model goes through it from end to end."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from audiotoken.errors import CheckpointError, OptionError
from audiotoken.mini.object_detector import load_detector
from audiotoken.mini.strict_judge import StrictJudge, Verdict, WholeThing, save_judge
from audiotoken.mini.things import BACKDROPS, WORDS
from experiments.benchmarks import strict
from experiments.benchmarks.cases import Case
from experiments.benchmarks.sheets import labelled_pictures
from experiments.benchmarks.strict import bench_strict
from experiments.benchmarks.strict_scores import format_figures, is_on_sides, score_pairs, score_word
from experiments.world.captions import PLACES

CASE = Case(("dog", "frog"), (-20.0, 20.0), (-30.0, -30.0), 0)


def thing(word, x, score=0.9):
    return WholeThing(word, (x, 0.6), score)


def test_pairs_are_on_their_sides_only_if_both_are_whole():
    right = Verdict((thing("dog", 0.2), thing("frog", 0.7)), 0.0, None)
    crossed = Verdict((thing("dog", 0.7), thing("frog", 0.2)), 0.0, None)
    alone = Verdict((thing("dog", 0.2),), 0.2, None)
    doubled = Verdict((thing("dog", 0.2), thing("frog", 0.7), thing("frog", 0.9, 0.5)), 0.0, None)
    assert [is_on_sides(CASE, each) for each in (right, crossed, alone, doubled)] == [True, False, False, True]
    shares = score_pairs([CASE] * 4, [right, crossed, alone, doubled])
    assert (shares.sides, shares.doubled, shares.spoilt) == (0.5, 0.25, 0.25)


def test_a_word_is_named_leniently_and_strictly():
    verdicts = [
        Verdict((thing("dog", 0.5),), 0.0, None),
        Verdict((thing("dog", 0.5), thing("dog", 0.2)), 0.0, None),
        Verdict((), 0.3, None),
        Verdict((thing("cat", 0.5), thing("dog", 0.5, 0.4)), 0.0, None),
    ]
    row = score_word("dog", ["dog", "dog", "dog", "cat"], verdicts)
    assert (row.lenient, row.strict, row.one, row.spoilt) == (0.75, 0.5, 0.25, 0.25)
    text = " ".join(format_figures({"words": [vars(row)], "backdrops": {"river": 0.5, "sky": 1.0}}).split())
    assert "| dog | 75.0 | 50.0 | 25.0 | 25.0 |" in text and "| mean | 75.0 |" in text


def test_labels_stand_below_their_pictures(tmp_path):
    labelled_pictures([Image.new("RGB", (32, 32), "red")] * 3, ["dog | frog"] * 3, tmp_path / "sheet.png", columns=2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (64, 2 * 46)
        assert sheet.getpixel((40, 10)) == (255, 0, 0) and sheet.getpixel((40, 60)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pictures": 0, "backdrops": 0, "pairs": 0}, "at least 1"),
        ({"pairs": -1}, "at least 1"),
        ({"method": "magic"}, "Got method=magic"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(options, words, tmp_path):
    with pytest.raises(OptionError, match=words):
        bench_strict(out=tmp_path, **options)
    with pytest.raises(CheckpointError, match="train_judge"):
        bench_strict(judges=str(tmp_path), out=tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.fixture
def judges(tmp_path):
    """An untrained judge beside the detector and the CLIP that ship, with a reference of two pictures a word."""
    import shutil
    from importlib.resources import files

    folder, shipped = tmp_path / "judges", files("audiotoken.mini")
    save_judge(StrictJudge().state_dict(), 0.0, folder / "judge")
    for name in ("detector", "clip"):
        shutil.copytree(str(shipped / name), folder / name)
    rng = np.random.default_rng(0)
    save_file(
        {"clip": rng.normal(size=(48, 64)).astype(np.float16), "kinds": np.arange(24).repeat(2)},
        folder / "clip" / "painted.safetensors",
    )
    return folder


@pytest.mark.slow
def test_a_model_goes_through_all_parts_and_on_again(judges, tmp_path, monkeypatch):
    from audiotoken.debug import debug_pipeline

    torch.manual_seed(0)
    monkeypatch.setattr(strict, "load_pipeline", lambda model, device: debug_pipeline())
    monkeypatch.setattr(strict, "WORDS", WORDS[:3])
    monkeypatch.setattr(strict, "BACKDROPS", BACKDROPS[:2])
    monkeypatch.setattr(strict, "PLACES", {name: PLACES[name] for name in BACKDROPS[:2]})
    options = {"judges": str(judges), "pictures": 2, "backdrops": 1, "pairs": 2, "steps": 1, "out": tmp_path / "out"}
    lines = []
    text = bench_strict(**options, on_row=lines.append)
    figures = json.loads((tmp_path / "out" / "strict.json").read_text())
    assert len(figures["words"]) == len(lines) == 3 and list(figures["backdrops"]) == list(BACKDROPS[:2])
    assert {"kid", "precision", "recall"} == set(figures["set"]) and figures["pairs"]["pictures"] == 2
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"words.png", "backdrops.png", "pairs.png"}
    monkeypatch.setattr(strict, "sample", None)  # nothing is drawn a second time
    assert bench_strict(**options) == text == (tmp_path / "out" / "strict.md").read_text().strip()
    monkeypatch.setattr(strict, "fingerprint", lambda model: "other weights")
    with pytest.raises(TypeError, match="NoneType"):  # these draw again
        bench_strict(**options)
    load_detector.cache_clear()
