"""The checkpoint that ships: whole, small, and it hears and draws what it says it does."""

import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS, WORDS
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.tasks.showcase import RATE, SEED, write_clips
from experiments.world.measure import recognise_things

MINI = Path(str(files("audiotoken.mini")))


@pytest.fixture(scope="module")
def mini():
    pipe = AudioTokenPipeline.from_pretrained("mini")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_it_is_small_and_safe():
    weights = [path for path in MINI.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in weights) < 60e6
    assert max(path.stat().st_size for path in weights) < 16e6
    assert not {path.suffix for path in weights} & {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".wav", ".ogg", ".svg"}
    assert {path.parent.name for path in weights if path.suffix == ".safetensors"} >= {
        "unet", "vae", "text_encoder", "audio_encoder", "audio_embedder", "detector",
    }  # fmt: skip


def test_its_card_says_what_it_is_made_of():
    card = (MINI / "README.md").read_text()
    for credit in ("Noto Emoji", "Fluent Emoji", "Twemoji", "ESC-10", "CC BY 3.0", "## Limits"):
        assert credit in card, credit
    assert re.search(r"\| mean +\|", card), "the measured table"


@pytest.mark.parametrize("words", [("frog", "car", "tree", "bell")])
def test_it_draws_what_the_text_says(mini, words):
    images = mini(prompt=[f"a photo of a {word}" for word in words], seed=11, num_inference_steps=10).images
    right = [seen == word for seen, word in zip(recognise_things(images), words, strict=True)]
    assert sum(right) >= len(words) - 1, dict(zip(words, recognise_things(images), strict=True))


@pytest.mark.slow
def test_it_draws_what_it_hears(mini):
    words = ("frog", "rooster", "clock", "bell", "fire", "dog")
    clips = [synthesise(word, RATE, 4.0, 901_000) for word in words]
    assert [mini.classify(clip, RATE)[0][0] for clip in clips] == list(words)
    images = mini(clips[:4], rate=RATE, seed=5, num_inference_steps=10).images
    assert sum(seen == word for seen, word in zip(recognise_things(images), words, strict=False)) >= 3


@pytest.mark.slow
def test_different_seeds_put_the_thing_elsewhere_and_the_same_seed_repeats(mini):
    clip = synthesise("frog", RATE, 3.0, 902_000)
    one, again, other = (
        np.asarray(mini(clip, rate=RATE, seed=seed, num_inference_steps=3).images[0], int) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert np.abs(one - other).mean() > 10


@pytest.mark.slow
def test_its_scheduler_can_be_changed(mini):
    from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler

    kept = mini.scheduler
    try:
        for scheduler in (EulerDiscreteScheduler, DPMSolverMultistepScheduler):
            mini.scheduler = scheduler.from_config(kept.config)
            images = mini(prompt=["a photo of a frog", "a photo of a tree"], seed=11, num_inference_steps=10).images
            assert "frog" in recognise_things(images) or "tree" in recognise_things(images)
    finally:
        mini.scheduler = kept


def test_a_negative_prompt_and_several_sounds_run(mini):
    clips = [synthesise(word, RATE, 3.0, 903_000) for word in ("frog", "bell")]
    prompt = "a photo of <audio> and <audio>"
    image = mini(clips, rate=RATE, prompt=prompt, negative_prompt="tree", num_inference_steps=2).images[0]
    assert image.size == (128, 128)


def test_the_demo_clips_are_heard(mini, tmp_path):
    for path in write_clips(tmp_path):
        assert mini.classify(path)[0][0] == path.stem
    assert set(AUDIBLE_WORDS) <= set(WORDS) and SEED >= 0
