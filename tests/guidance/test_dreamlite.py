"""DreamLite, a UNet on a picture twice as wide: its own pipeline without regions; energies fall in the left half."""

import numpy as np
import pytest
import torch
from families import TEXT, Encoded

from audiotoken.debug_transformers import debug_transformer
from guidance import Backbone, Guidance, Region, Schedule, UNetBackbone, capture_cross_attention, sample
from guidance.energies import layout_energy
from guidance.noise_levels import get_noise_level

REGIONS = [Region((0.0, 0.1, 0.4, 0.9), (14,)), Region((0.5, 0.0, 1.0, 1.0), (20,))]


@pytest.fixture(scope="module")
def pipe():
    return debug_transformer("dreamlite")


def encode(pipe, text=TEXT, negative=""):
    """As the pipeline does: both prompts at once, and the tokens of the second."""
    prompts = [negative, f"[Generate]: {text}"]
    rows, kept = pipe.encode_prompt(mode="generate", prompts=prompts, device="cpu", dtype=torch.float32)
    return Encoded(rows[1][kept[1].bool()][None])


@pytest.mark.parametrize("options", [{}, {"negative_prompt": "photo"}, {"height": 48, "width": 32}])
def test_without_regions_it_is_the_pipeline(pipe, options):
    """Up to rounding: the negative prompt is encoded alone here, beside the other there."""
    options = {"num_inference_steps": 2, "guidance_scale": 3.5} | options
    drawn = sample(pipe, encode(pipe), seed=3, **options)
    stock = pipe(TEXT, generator=torch.Generator().manual_seed(3), **options).images[0]
    assert drawn.image.size == stock.size
    assert np.abs(np.int16(drawn.image) - np.int16(stock)).max() <= 1


def test_energies_fall_and_are_its_own_method(pipe):
    def last(strength):
        schedule = Schedule(0.9, strength=strength, stop_below=0.0, max_update_rms=0.3)
        method = Guidance(layout_energy, "early", schedule)
        drawn = sample(pipe, encode(pipe), regions=REGIONS, energy=method, num_inference_steps=4, seed=2)
        return [step.before for step in drawn.trace if step.before][-1][0]

    assert last(300.0) < last(1e-9) - 1e-3
    options = {"regions": REGIONS, "num_inference_steps": 2}
    own, named = (sample(pipe, encode(pipe), energy=name, **options).latents for name in (None, "combined"))
    assert torch.equal(own, named) and own.isfinite().all()
    assert not torch.allclose(own, sample(pipe, encode(pipe), energy="regional", **options).latents, atol=1e-3)


def test_boxes_are_those_of_the_left_half(pipe):
    backbone = Backbone.from_pipe(pipe)
    assert isinstance(backbone, UNetBackbone) and backbone.map_aspect((48, 32)) == pytest.approx(4 / 3)
    assert [region.box for region in backbone.map_regions(REGIONS)] == [(0.0, 0.1, 0.2, 0.9), (0.25, 0.0, 0.5, 1.0)]


def test_maps_are_the_layers_own(pipe):
    """Grouped queries, normalised, with padding masked: the maps' values give the layer's output."""
    backbone, prompt = Backbone.from_pipe(pipe), encode(pipe)
    conditioning = backbone.prepare_conditioning([prompt], "a photo of a frog and a dog and a frog", 3.5, (32, 32))
    scheduler = backbone.make_scheduler(2, (32, 32))
    latents, _ = backbone.prepare_latents(scheduler, conditioning, [0], (32, 32))
    name = next(name for name, _, kind in backbone.attention_layers() if kind == "cross")
    layer, seen = pipe.unet.get_submodule(name), {}
    hook = layer.register_forward_hook(lambda _, args, kwargs, out: seen.update(kwargs, out=out), with_kwargs=True)
    with torch.no_grad(), capture_cross_attention(pipe.unet, [name]) as capture:
        backbone.predict_raw(latents, scheduler.timesteps[0], conditioning.positive, conditioning.added)
    hook.remove()
    values = layer.to_v(seen["encoder_hidden_states"])
    width = layer.to_q.out_features // layer.heads
    values = (
        values.unflatten(-1, (-1, width)).transpose(1, 2).repeat_interleave(layer.heads * width // values.shape[-1], 1)
    )
    out = layer.to_out[0]((capture.maps[name] @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(out, seen["out"], atol=1e-5, rtol=1e-4)


def test_noise_levels_of_rectified_flow(pipe):
    scheduler = Backbone.from_pipe(pipe).make_scheduler(4, (32, 32))
    share = float(scheduler.sigmas[1])
    level = get_noise_level(scheduler, 1)
    assert level.sigma == pytest.approx(share / (1 - share), rel=1e-4)
    assert level.noise_variance == pytest.approx(share**2 / (share**2 + (1 - share) ** 2), rel=1e-4)
    assert level.latent_scale == pytest.approx(np.hypot(share, 1 - share), rel=1e-4) and level.editable
    assert get_noise_level(scheduler, 4).sigma == 0
