"""Options of plans and drawings: each wrong value is one sentence, before any work; and what the callbacks get."""

from dataclasses import fields
from inspect import signature

import numpy as np
import pytest
import torch

from audiotoken import DrawOptions, OptionError, PlanOptions, PromptError
from audiotoken.debug import debug_pipeline
from audiotoken.stereo.animation import film, sound_to_film
from audiotoken.stereo.generation import draw, sound_to_image
from audiotoken.stereo.planning import make_plan, place_sources, plan
from audiotoken.stereo.words import compose_prompt
from guidance.errors import GuidanceError
from spatial.errors import SpatialError

RATE = 22_050
SIGNAL = (0.3 * np.sin(2 * np.pi * 1234 * np.arange(RATE) / RATE)).astype(np.float32)

WRONG_PLANS = [
    ("unmatched", "dorp", OptionError, "add, drop"),
    ("unknown", "skip", OptionError, "omit, unplaced, guess"),
    ("token", "word", OptionError, "learned, label"),
    ("setup", "quad", SpatialError, "auto, mono, panned, spaced, ortf, nos, xy, ms, binaural"),
    ("max_sources", 5, SpatialError, "1 to 4"),
    ("fov", 200, SpatialError, "1 to 170"),
    ("prompt", "a \ud800", PromptError, "UTF-8"),
]
WRONG_DRAWINGS = [
    ("energy", "brute", GuidanceError, "none, forward, layout, boxdiff, centroid, combined"),
    ("output_type", "latent", OptionError, "pil, np"),
    ("count", 0, OptionError, "at least 1"),
    ("num_inference_steps", 0, OptionError, "at least 1"),
    ("num_inference_steps", 2.5, OptionError, "whole number"),
    ("height", -8, OptionError, "at least 1"),
    ("width", "wide", OptionError, "whole number"),
    ("guidance_scale", float("nan"), OptionError, "finite number"),
    ("seed", "3", OptionError, "whole number"),
    ("negative_prompt", "no <audio>", PromptError, "words only"),
]


@pytest.fixture(scope="module")
def pipe():
    return debug_pipeline()


@pytest.fixture(scope="module")
def planned(pipe):
    return plan(SIGNAL, RATE, pipe)


@pytest.mark.parametrize(
    ("function", "name", "value", "error", "valid"),
    [
        (function, *case)
        for function in (sound_to_image, sound_to_film)
        for case in WRONG_PLANS + WRONG_DRAWINGS
        if case[0] in signature(function).parameters
    ],
)
def test_a_wrong_option_is_one_sentence_before_any_work(function, name, value, error, valid):
    with pytest.raises(error, match=valid) as caught:
        function(None, None, None, **{name: value})  # neither recording nor pipe is looked at
    message = str(caught.value)
    assert message.endswith((".", "usual.")) and "\n" not in message and ". " not in message


@pytest.mark.parametrize(("name", "value", "error", "valid"), WRONG_PLANS)
def test_plan_options_are_checked_once_for_all(name, value, error, valid):
    with pytest.raises(error, match=valid):
        PlanOptions(**{name: value})
    with pytest.raises(error, match=valid):
        plan(None, None, None, **{name: value})


@pytest.mark.parametrize(("name", "value", "error", "valid"), WRONG_DRAWINGS)
@pytest.mark.parametrize("function", [draw, film])
def test_draw_options_are_checked_once_for_all(function, name, value, error, valid):
    with pytest.raises(error, match=valid):
        DrawOptions(**{name: value})
    if name in signature(function).parameters:
        with pytest.raises(error, match=valid):
            function(None, None, **{name: value})


def test_a_spacing_belongs_to_spaced_microphones():
    with pytest.raises(SpatialError, match="spacing"):
        PlanOptions(setup="ortf", spacing=0.3)
    assert PlanOptions(setup="spaced", spacing=0.3).spacing == 0.3


def test_stages_check_their_own_choices(pipe, planned):
    with pytest.raises(OptionError, match="omit, unplaced, guess"):
        place_sources(planned, {}, 90.0, "skip")
    with pytest.raises(OptionError, match="add, drop"):
        compose_prompt(pipe, [], RATE, [], None, [], [], "dorp", None, [])


@pytest.mark.parametrize("function", [sound_to_image, sound_to_film, plan, draw, film])
def test_no_function_takes_unknown_keywords(function):
    with pytest.raises(TypeError, match="unmached"):
        function(None, None, None, unmached="add")


@pytest.mark.parametrize(
    ("options", "functions"), [(PlanOptions, [plan, sound_to_image, sound_to_film]), (DrawOptions, [draw, film])]
)
def test_options_are_keywords_with_the_same_defaults(options, functions):
    for function in functions:
        parameters = signature(function).parameters
        for field in fields(options):
            if not (function is film and field.name == "count"):
                assert parameters[field.name].default == field.default, (function.__name__, field.name)


def test_options_as_an_object_draw_the_same_picture(pipe, planned):
    by_keywords = sound_to_image(SIGNAL, RATE, pipe, seed=3, num_inference_steps=2)
    again = make_plan(SIGNAL, RATE, pipe, PlanOptions())
    assert again.prompt.text == planned.prompt.text
    assert by_keywords.images[0].tobytes() == draw(again, pipe, seed=3, num_inference_steps=2).images[0].tobytes()


def test_a_generator_stands_for_its_initial_seed(pipe, planned):
    generator = torch.Generator().manual_seed(11)
    torch.rand(3, generator=generator)
    drawn = draw(planned, pipe, generator=generator, num_inference_steps=1)
    assert drawn.seed == 11
    assert drawn.images[0].tobytes() == draw(planned, pipe, seed=11, num_inference_steps=1).images[0].tobytes()


def test_a_list_of_generators_is_refused_in_a_sentence(pipe):
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    with pytest.raises(OptionError, match=r"Got generator=list, expected one torch\.Generator; for several pictures"):
        sound_to_image(SIGNAL, RATE, pipe, generator=generators)


def test_arrays_are_the_pictures(pipe, planned):
    drawn = draw(planned, pipe, count=2, num_inference_steps=1)
    arrays = draw(planned, pipe, count=2, num_inference_steps=1, output_type="np").images
    assert [array.shape for array in arrays] == [(32, 32, 3)] * 2
    for array, image in zip(arrays, drawn.images, strict=True):
        assert np.array_equal(np.round(array * 255).astype(np.uint8), np.asarray(image))


def test_callbacks_on_step_end_are_those_of_diffusers(pipe, planned):
    ours, theirs = [], []

    def record(calls):
        def callback(its_pipe, step, timestep, tensors):
            assert its_pipe is pipe
            calls.append((step, int(timestep), tensors["latents"].shape))
            return tensors

        return callback

    drawn = draw(planned, pipe, num_inference_steps=3, callback_on_step_end=record(ours))
    direct = pipe(prompt=planned.prompt, num_inference_steps=3, callback_on_step_end=record(theirs)).images
    assert ours == theirs and len(ours) == 3
    assert drawn.images[0].tobytes() == direct[0].tobytes()


def test_latents_that_a_callback_returns_are_used(pipe, planned):
    def replace_latents(pipe, step, timestep, tensors):
        return {"latents": torch.zeros_like(tensors["latents"])}

    drawn = draw(planned, pipe, num_inference_steps=2, callback_on_step_end=replace_latents)
    assert not drawn.sample.latents.any()


def test_height_and_width_are_in_pixels(pipe, planned):
    assert draw(planned, pipe, num_inference_steps=1, height=48, width=32).images[0].size == (32, 48)
