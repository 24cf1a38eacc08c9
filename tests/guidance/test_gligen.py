"""Regions as grounding boxes, on a tiny GLIGEN model with random weights."""

import pytest
import torch
from diffusers import StableDiffusionGLIGENPipeline, UNet2DConditionModel

from audiotoken.debug import debug_pipeline
from guidance import Region
from guidance.errors import GuidanceError
from guidance.gligen import sample_gligen

LEFT, RIGHT = Region((0.0, 0.1, 0.4, 0.9), (3,), "a dog"), Region((0.55, 0.3, 1.0, 0.8), (5,), "a frog")


@pytest.fixture(scope="module")
def pipe():
    plain = debug_pipeline(kind="sd1")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = {k: v for k, v in plain.unet.config.items() if not k.startswith("_")}
        unet = UNet2DConditionModel(**config | {"attention_type": "gated"}).eval()
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "fuser.alpha" in name:
                weight.fill_(2.0)  # trained from 0, where boxes are not read
    parts = {name: getattr(plain, name) for name in ("vae", "text_encoder", "tokenizer", "scheduler")}
    pipe = StableDiffusionGLIGENPipeline(
        **parts, unet=unet, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe, *regions, **options):
    options = {"num_inference_steps": 3, "scheduled_sampling_beta": 1.0, **options}
    return sample_gligen(pipe, "a dog and a frog", regions=regions, **options)


def test_boxes_and_labels_are_read(pipe):
    drawn = draw(pipe, LEFT, RIGHT)
    assert drawn.image.size == (32, 32) and drawn.latents.isfinite().all()
    moved = draw(pipe, Region(RIGHT.box, (3,), LEFT.label), Region(LEFT.box, (5,), RIGHT.label))
    renamed = draw(pipe, LEFT, Region(RIGHT.box, (5,), "a bell"))
    for other in (moved, renamed):
        assert not torch.allclose(drawn.latents, other.latents, atol=1e-3)
    assert torch.equal(drawn.latents, draw(pipe, LEFT, RIGHT).latents)


def test_a_prompt_with_sounds_goes_in_as_it_was_read(pipe):
    prompt = debug_pipeline(kind="sd1").encode_prompts("a dog and a frog")[0]
    drawn = sample_gligen(pipe, prompt, regions=[LEFT], num_inference_steps=3)
    assert torch.allclose(drawn.latents, draw(pipe, LEFT, scheduled_sampling_beta=0.3).latents, atol=1e-4)


def test_other_models_and_regions_without_a_name_are_sentences(pipe):
    with pytest.raises(GuidanceError, match="load a GLIGEN checkpoint"):
        draw(debug_pipeline(), LEFT)
    with pytest.raises(GuidanceError, match="give each region a label"):
        draw(pipe, Region(LEFT.box, (3,)))
