"""The choices of the command line are those of the library, and names of earlier releases still work."""

from importlib.resources import files
from inspect import signature
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from audiotoken.assembly.assemble import DTYPES as STORED_DTYPES
from audiotoken.cli import choices
from audiotoken.cli.app import app
from audiotoken.options import DTYPES, OFFLOADS, TOKENS
from audiotoken.stereo.options import SETUPS, UNKNOWN, UNMATCHED
from audiotoken.tasks.place import MOTIONS
from audiotoken.tasks.train import PRECISIONS
from guidance import METHODS
from guidance.forms import FORMS
from spatial.setups import NAMES

RECIPES = [Path(each.name).stem for each in (files("audiotoken.configs") / "recipe").iterdir()]


@pytest.mark.parametrize(
    ("choice", "values"),
    [
        (choices.Dtype, [dtype for dtype in DTYPES if dtype]),
        (choices.Offload, OFFLOADS),
        (choices.StoredDtype, STORED_DTYPES),
        (choices.Token, [token for token in TOKENS if token]),
        (choices.Unmatched, UNMATCHED),
        (choices.Unknown, UNKNOWN),
        (choices.Motion, MOTIONS),
        (choices.Energy, [*METHODS, "auto", "none"]),
        (choices.LayoutForm, FORMS),
        (choices.Setup, ["auto", *NAMES]),
        (choices.DrawingSetup, SETUPS),
        (choices.Precision, PRECISIONS),
        (choices.Recipe, RECIPES),
    ],
)
def test_choices_are_those_of_the_library(choice, values):
    assert sorted(choice) == sorted(values)


def test_named_choices_may_be_in_capitals():
    parameters = [each for one in app.registered_commands for each in signature(one.callback).parameters.values()]
    options = [get_args(each.annotation)[1] for each in parameters if "choices." in str(each.annotation)]
    assert len(options) > 20 and not any(option.case_sensitive for option in options)


@pytest.fixture
def received(tmp_path, monkeypatch):
    """What `place` receives; nothing is drawn."""
    calls = {}

    def place_file(clip, output, planning, drawing, **options):
        calls.update(options, planning=planning, drawing=drawing)
        raise KeyboardInterrupt

    monkeypatch.setattr("audiotoken.tasks.place.place_file", place_file)
    monkeypatch.chdir(tmp_path)
    soundfile.write("clip.wav", 0.1 * np.sin(np.arange(9000)), 16_000)
    return calls


def test_old_names_still_work_with_a_note(received):
    result = CliRunner().invoke(app, ["place", "clip.wav", "--energy", "ours", "--guidance", "3", "--count", "2"])
    assert result.exit_code == 130
    assert received["drawing"].energy == "combined" and received["drawing"].guidance_scale == 3.0
    assert received["drawing"].count == 2
    assert "ours is now called combined" in result.stderr and "guidance is now called guidance-scale" in result.stderr


def test_new_names_print_no_note(received):
    options = ["--energy", "layout", "--guidance-scale", "3", "--dtype", "bfloat16", "--setup", "ORTF"]
    options += ["--width", "512", "--height", "256", "--offload", "model"]
    result = CliRunner().invoke(app, ["place", "clip.wav", *options])
    assert "now called" not in result.stderr
    assert (received["drawing"].width, received["drawing"].height) == (512, 256) and received["offload"] == "model"
    assert received["dtype"] == "bfloat16" and received["planning"].setup == "ortf"


def test_old_names_are_not_listed():
    text = CliRunner().invoke(app, ["place", "--help"]).stdout
    assert "ours" not in text.replace("hours", "") and "--guidance " not in text and "combined" in text


def test_evaluate_passes_its_options_on(monkeypatch):
    received = {}

    def evaluate(**options):
        received.update(options)
        return "table"

    monkeypatch.setattr("audiotoken.evaluation.evaluate.evaluate", evaluate)
    options = ["--num-clips", "4", "--model", "mini", "--device", "cpu", "seeds=[0,1]"]
    result = CliRunner().invoke(app, ["evaluate", *options])
    assert result.exit_code == 0 and result.stdout == "table\n", result.output
    assert (received["n"], received["model"], received["device"]) == (4, "mini", "cpu")
    assert received["seeds"] == [0, 1] and received["out"] == "runs/evaluated"


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("prepare", ("copies", "shard_size", "prepare.yaml")),
        ("train", ("sample_every", "settings", "embedder", "train.yaml")),
        ("evaluate", ("systems", "unclip", "evaluate.yaml")),
    ],
)
def test_help_lists_the_keys_of_the_configuration(command, keys):
    text = CliRunner().invoke(app, [command, "--help"]).stdout
    assert all(key in text for key in keys) and "defaults" not in text and "hydra" not in text


def test_a_choice_is_shown_as_it_was_typed():
    assert f"{choices.Energy.LAYOUT!r} {choices.Energy.LAYOUT}" == "'layout' layout"
