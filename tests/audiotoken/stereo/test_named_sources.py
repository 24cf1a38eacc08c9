"""A sound that listening missed is found by its name, without a prompt, and only if it is then heard."""

from dataclasses import replace

import numpy as np
import pytest

from audiotoken.mini.sounds import synthesise
from audiotoken.model import load_pipeline
from audiotoken.stereo.named_sources import are_found
from audiotoken.stereo.options import PlanOptions
from audiotoken.stereo.planning import Stages, make_plan
from spatial.scene import Direction, Scene, Source
from spatial.simulation import simulate

RATE = 22_050
BIRD, DRUM = -31.0, 24.0  # degrees


@pytest.fixture(scope="module")
def pipe():
    return load_pipeline("mini", "cpu")


def record(*placed):
    """Synthesised sounds at a mixing desk, each at its azimuth, so loud that both are heard in the mixture."""
    levels = {"bird": 0.3, "drum": 0.15}
    return simulate([(levels[word] * synthesise(word, RATE, 3.0, 5), at) for word, at in placed], "panned", rate=RATE)


def plan_where_one_was_found(pipe, recording, azimuth, **change):
    """The plan of a scene whose only source is the whole recording, at that azimuth."""
    direction = replace(Direction(azimuth), **change)
    source = Source(np.asarray(recording[1]), direction, -20.0, image=recording)
    stages = Stages(find_sources=lambda *_: Scene((source,), RATE, "panned"))
    return make_plan(recording, RATE, pipe, PlanOptions(), stages=stages)


def test_what_is_heard_in_the_recording_but_was_not_found_gets_its_place(pipe):
    found = plan_where_one_was_found(pipe, record(("bird", BIRD), ("drum", DRUM)), DRUM)
    at = dict(zip(found.subjects, found.scene.azimuths, strict=True))
    assert sorted(at) == ["bird", "drum"] and len(found.regions) == 2
    assert at["drum"] == DRUM and at["bird"] == pytest.approx(BIRD, abs=8)


def test_nothing_is_added_to_one_sound(pipe):
    assert len(plan_where_one_was_found(pipe, record(("drum", DRUM)), DRUM).scene.sources) == 1


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        ([[("rain", 0.9), ("wave", 0.1)], [("wave", 0.9)]], True),
        ([[("rain", 0.9), ("wave", 0.1)], [("wave", 0.11), ("rain", 0.11)]], False),  # an echo of the rain
        ([[("rain", 0.9)], [("rain", 0.9), ("wave", 0.01)]], False),
        ([[("fire", 0.9)], [("wave", 0.9)]], False),  # the rain is lost
    ],
)
def test_what_was_added_is_kept_if_it_is_clearly_heard(after, kept):
    assert are_found(["wave"], [[("rain", 0.9), ("wave", 0.2)]], after) is kept


def test_what_is_not_heard_afterwards_is_not_added(pipe, monkeypatch):
    monkeypatch.setattr("audiotoken.stereo.planning.are_found", lambda *_: False)
    assert len(plan_where_one_was_found(pipe, record(("bird", BIRD), ("drum", DRUM)), DRUM).scene.sources) == 1


def test_a_sound_from_everywhere_stays_the_only_one(pipe):
    recording = record(("bird", BIRD), ("drum", DRUM))
    assert len(plan_where_one_was_found(pipe, recording, DRUM, spread=45.0).scene.sources) == 1


def test_a_sound_without_a_signal_of_its_own_is_not_added(pipe, monkeypatch):
    def leave_nothing(scene, azimuths):
        silent = Source(np.zeros_like(scene.sources[0].signal), Direction(azimuths[0]), -90.0)
        return replace(scene, sources=(*scene.sources, silent))

    monkeypatch.setattr("audiotoken.stereo.named_sources.add_sources", leave_nothing)
    assert len(plan_where_one_was_found(pipe, record(("bird", BIRD), ("drum", DRUM)), DRUM).scene.sources) == 1
