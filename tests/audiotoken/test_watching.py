"""What would be a black picture, half a prompt or an untrained embedder without a word is told."""

import numpy as np
import pytest
import torch

from audiotoken.debug import debug_pipeline
from audiotoken.debug_transformers import TRANSFORMERS, debug_joint_pipeline
from audiotoken.errors import CheckpointError, OptionError, PromptError
from audiotoken.prompt import describe_cut, find_cut
from audiotoken.stereo.animation import sound_to_film
from audiotoken.stereo.generation import sound_to_image
from audiotoken.tasks.train import train
from audiotoken.watching import watch_pictures
from guidance.errors import GuidanceError

RATE = 16_000
SOUND = (0.3 * np.sin(np.arange(RATE) ** 1.3 / 40)).astype(np.float32)
QUICK = {"num_inference_steps": 1, "setup": "mono"}


@pytest.fixture
def pipe():
    made = debug_pipeline(kind="sd1")
    made.set_progress_bar_config(disable=True)
    return made


def spoil_vae(pipe) -> None:
    with torch.no_grad():
        next(pipe.vae.decoder.parameters()).fill_(float("nan"))


@pytest.mark.parametrize(
    "draw",
    [
        lambda pipe: pipe(SOUND, rate=RATE, num_inference_steps=1),
        lambda pipe: sound_to_image(SOUND, RATE, pipe, **QUICK),
        lambda pipe: sound_to_film(SOUND, RATE, pipe, frames=2, **QUICK),
    ],
)
def test_a_vae_that_answers_with_nan_is_an_error(pipe, draw):
    spoil_vae(pipe)
    with pytest.raises(CheckpointError, match="VAE in float32 answered with NaN"):
        draw(pipe)
    assert not pipe.vae.decoder._forward_hooks


def test_a_denoiser_that_answers_with_nan_is_not_taken_for_the_vae(pipe):
    with torch.no_grad():
        pipe.unet.conv_out.weight.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="The denoiser in float32 answered with NaN"):
        pipe(SOUND, rate=RATE, num_inference_steps=1)
    with pytest.raises(GuidanceError, match="latents that are not finite"):
        sound_to_image(SOUND, RATE, pipe, **QUICK)


class Checker(torch.nn.Module):
    """A safety checker that rejects the pictures of these numbers."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, rejects: set[int]):
        super().__init__()
        self.rejects = rejects

    def forward(self, images, clip_input):
        flags = [i in self.rejects for i in range(len(images))]
        return torch.stack([0 * each if bad else each for each, bad in zip(images, flags, strict=True)]), flags


def with_checker(pipe, rejects: set[int]):
    def features(images, return_tensors):
        return type("Features", (), {"to": lambda self, device: self, "pixel_values": torch.zeros(1)})()

    pipe.register_modules(safety_checker=Checker(rejects), feature_extractor=features)
    return pipe


def test_pictures_that_the_safety_checker_rejects_are_named(pipe):
    result = sound_to_image(SOUND, RATE, with_checker(pipe, {1}), count=2, **QUICK)
    assert [note for note in result.notes if "safety checker" in note] == [
        "Picture 2 is black, because the model's safety checker rejected it; try another seed or other words."
    ]
    with pytest.raises(PromptError, match="rejected every picture"):
        sound_to_image(SOUND, RATE, with_checker(pipe, {0}), **QUICK)
    with pytest.warns(UserWarning, match="Picture 1 is black"):
        pipe(SOUND, rate=RATE, num_inference_steps=1)


def test_nothing_is_told_of_good_pictures(pipe, recwarn):
    with watch_pictures(pipe) as rejected:
        pipe(SOUND, rate=RATE, num_inference_steps=1)
    assert rejected == [] and not [each for each in recwarn if "checker" in str(each.message)]


# words beyond the limit


def test_words_beyond_the_limit_are_told(pipe):
    text = f"a photo of <audio> and {'word ' * 90}a bell"
    result = sound_to_image(SOUND, RATE, pipe, prompt=text, **QUICK)
    (note,) = [note for note in result.notes if "longer than the model reads" in note]
    assert note.startswith("The prompt is longer") and note == describe_cut(find_cut(text, pipe.tokenizer))
    with pytest.warns(UserWarning, match="longer than the model reads"):
        pipe(SOUND, text, rate=RATE, num_inference_steps=1)
    (prompt,) = pipe.encode_prompts("a photo of a bell")
    assert prompt.cut == ""


@pytest.mark.parametrize("kind", ["sd1", "xl", "flux"])
def test_negative_words_beyond_the_limit_are_told(kind):
    pipe = debug_joint_pipeline(kind) if kind in TRANSFORMERS else debug_pipeline(kind=kind)
    text = f"{'word ' * 300}ugly"
    result = sound_to_image(SOUND, RATE, pipe, negative_prompt=text, **QUICK)
    (note,) = [note for note in result.notes if "longer than the model reads" in note]
    assert note.startswith("The negative prompt is longer")
    with pytest.warns(UserWarning, match="The negative prompt is longer"):
        pipe(SOUND, rate=RATE, num_inference_steps=1, negative_prompt=text)
    assert pipe.find_cut("ugly") == ""


def test_a_film_says_that_negative_words_were_cut(pipe):
    result = sound_to_film(SOUND, RATE, pipe, frames=2, negative_prompt="word " * 90, **QUICK)
    assert "The negative prompt is longer" in str(result.notes)


def test_a_word_beyond_the_limit_is_not_called_missing(pipe):
    (prompt,) = pipe.encode_prompts(f"{'word ' * 90}a bell")
    assert prompt.cut.endswith("bell") and prompt.cut.count("word") < 90
    with pytest.raises(PromptError, match="'bell' stands beyond the 75 tokens"):
        pipe.find_word(prompt, "bell")
    with pytest.raises(PromptError, match="does not contain 'rocket'"):
        pipe.find_word(prompt, "rocket")


# a training that would not train


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"settings": {"steps": 0}}, "settings.steps=0, expected a whole number from 1"),
        ({"settings": {"steps": -3}}, "settings.steps=-3"),
        ({"settings": {"steps": 9, "save_every": 0}}, "settings.save_every=0"),
        ({"settings": {"steps": 9, "learning_rate": -1.0}}, "settings.learning_rate=-1.0, expected a number, at least"),
        ({"settings": {"steps": 9, "learning_rate": float("nan")}}, "settings.learning_rate=nan"),
        ({"settings": {"steps": 9, "ema": 1.0}}, "settings.ema=1.0, expected a number between 0 and 1"),
        ({"settings": {"steps": 9, "weights": {"diffusion": -1.0}}}, "settings.weights.diffusion=-1.0"),
        ({"settings": {"steps": 2**64}}, f"settings.steps={2**64}, expected a whole number from 1 to 1000000000"),
        ({"settings": {"steps": 9, "seed": 2**64}}, "settings.seed="),
        ({"settings": {"steps": 9}, "batch": 0}, "Got batch=0"),
        ({"settings": {"steps": 9}, "batch": 2**70}, f"Got batch={2**70}, expected at least 1, at most 1048576"),
        ({"settings": {"steps": 9}, "sample_count": 0}, "Got sample_count=0"),
        ({"settings": {"steps": 9}, "seconds": 0.0}, "Got seconds=0.0"),
    ],
)
def test_settings_that_train_nothing_are_refused(options, words, tmp_path):
    with pytest.raises(OptionError, match=words):
        train(tmp_path / "data", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
