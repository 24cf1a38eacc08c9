"""Without regions the loop draws what the pipeline draws; with regions energies fall, on any backbone and scheduler."""

import math

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)

from audiotoken.debug import KINDS, debug_pipeline
from guidance import METHODS, Backbone, Guidance, Region, Schedule, capture_cross_attention, sample
from guidance.attention import Capture, CaptureProcessor, cross_attention_layers
from guidance.energies import combined_energy, layout_energy, leak_energy
from guidance.errors import GuidanceError
from guidance.noise_levels import get_noise_level

REGIONS = [Region((0.0, 0.1, 0.4, 0.9), (3,)), Region((0.55, 0.3, 1.0, 0.8), (5, 6))]
SCHEDULERS = (
    DDIMScheduler,
    EulerDiscreteScheduler,
    EulerAncestralDiscreteScheduler,
    DPMSolverMultistepScheduler,
    UniPCMultistepScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
)


@pytest.fixture(scope="module", params=KINDS)
def pipe(request):
    return debug_pipeline(kind=request.param)


@pytest.fixture(scope="module")
def mini():
    return debug_pipeline()


def words(pipe, text="a dog and a frog"):
    return pipe.encode_prompts(text)[0]


SHORT = {"seed": 1, "num_inference_steps": 2}


@pytest.fixture(scope="module")
def plain(pipe):
    """Latents without regions."""
    return sample(pipe, words(pipe), **SHORT).latents


@pytest.mark.parametrize(
    "options", [{}, {"negative_prompt": "photo"}, {"guidance_scale": 1.0}, {"height": 48, "width": 40}]
)
def test_without_regions_it_is_the_pipeline_bit_for_bit(pipe, options):
    drawn = sample(pipe, words(pipe), seed=7, **options)
    plain = pipe(prompt=words(pipe), seed=7, **options).images[0]
    assert drawn.image.tobytes() == plain.tobytes() and not drawn.trace


def test_regions_without_an_energy_change_no_bit(pipe, plain):
    drawn = sample(pipe, words(pipe), regions=REGIONS, energy="none", **SHORT)
    assert torch.equal(drawn.latents, plain)


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_without_regions_any_scheduler_is_the_pipelines(mini, kind, monkeypatch):
    pipe = mini
    monkeypatch.setattr(pipe, "scheduler", kind.from_config(pipe.scheduler.config))
    before = {k: v for k, v in vars(pipe.scheduler).items() if not isinstance(v, torch.Tensor)}
    drawn = sample(pipe, words(pipe), seed=3, num_inference_steps=5).image
    assert {k: v for k, v in vars(pipe.scheduler).items() if not isinstance(v, torch.Tensor)}.keys() == before.keys()
    assert drawn.tobytes() == pipe(prompt=words(pipe), seed=3, num_inference_steps=5).images[0].tobytes()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_draws_another_picture_on_every_backbone(pipe, plain, method):
    guided = sample(pipe, words(pipe), regions=REGIONS, energy=method, **SHORT)
    assert guided.latents.isfinite().all() and not torch.allclose(guided.latents, plain, atol=1e-3)
    assert not guided.latents.requires_grad and (method != "combined" or guided.latents.std() < 3 * plain.std())


def test_an_energy_may_be_a_function(mini):
    with_name, with_function = (
        sample(mini, words(mini), regions=REGIONS, energy=e) for e in ("combined", combined_energy)
    )
    assert torch.equal(with_name.latents, with_function.latents)
    alone = sample(mini, words(mini), regions=REGIONS[:1], energy=leak_energy)  # which says nothing of one region
    assert alone.latents.isfinite().all() and alone.trace[0].before == (0.0,)


def test_the_same_seed_draws_the_same(mini):
    first, second = (sample(mini, words(mini), seed=3, regions=REGIONS).latents for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, sample(mini, words(mini), seed=4, regions=REGIONS).latents)


AFTER_STEP = {"inner": 0, "after_step": True}


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        *((kind, {"inner": 1}) for kind in SCHEDULERS),
        *((kind, AFTER_STEP) for kind in (*SCHEDULERS[:2], *SCHEDULERS[-2:])),
    ],
)
def test_energy_falls_under_any_scheduler(mini, kind, way, monkeypatch):
    monkeypatch.setattr(mini, "scheduler", kind.from_config(mini.scheduler.config))

    def last(strength: float) -> float:
        guidance = Guidance(
            layout_energy, "early", Schedule(0.9, strength=strength, stop_below=0.0, max_update_rms=0.3, **way)
        )
        trace = sample(mini, words(mini), energy=guidance, num_inference_steps=4, seed=2, regions=REGIONS).trace
        return [note.before for note in trace if note.before][-1][0]

    assert last(300.0) < last(1e-9) - 1e-3


def test_published_inner_steps_are_counted_and_end_when_it_is_enough(mini):
    def trace(**changes):
        schedule = Schedule(**{"steps": 2, "inner": 5, "after_step": False, "stop_below": 0.0, **changes})
        return sample(mini, words(mini), regions=REGIONS, energy=Guidance(layout_energy, "published", schedule)).trace

    notes = trace()
    assert [note.updates for note in notes] == [(5,), (5,), (), ()]
    assert notes[0].after[0] < notes[0].before[0] and notes[0].sigma > notes[1].sigma
    assert [note.updates for note in trace(stop_below=5.0)] == [(0,), (0,), (), ()]


def test_a_row_that_is_good_stays_and_rows_are_apart(mini):
    prompts, far = [words(mini), words(mini, "a bell")], [Region((0.0, 0.0, 0.3, 0.3), (2,))]
    both = sample(mini, prompts, regions=[REGIONS, far], seed=[4, 5])
    for row, (prompt, regions) in enumerate(zip(prompts, (REGIONS, far), strict=True)):
        alone = sample(mini, prompt, regions=regions, seed=4 + row)
        assert torch.allclose(both.latents[row], alone.latents[0], atol=1e-4)
    plain = sample(mini, prompts[1], seed=5)
    mixed = sample(mini, prompts, regions=[REGIONS, []], seed=[4, 5])
    assert torch.allclose(mixed.latents[1], plain.latents[0], atol=1e-4)


def test_a_gradient_that_is_not_finite_is_told_and_moves_nothing(mini):
    def overflow(maps, regions, aspect):
        return layout_energy(maps, regions, aspect) * float("inf")

    guidance = Guidance(overflow, "early", Schedule(2, inner=1, stop_below=0.0))
    with pytest.warns(UserWarning, match="not finite at 2 of 4 steps"):
        drawn = sample(mini, words(mini), seed=3, regions=REGIONS, energy=guidance)
    assert [note.not_finite for note in drawn.trace] == [(1,), (1,), (), ()]
    assert [note.updates for note in drawn.trace] == [(0,), (0,), (), ()]
    assert torch.equal(drawn.latents, sample(mini, words(mini), seed=3).latents)


def test_no_weight_gets_a_gradient_and_its_switch_is_left_alone(mini):
    mini.unet.requires_grad_(True)
    sample(mini, words(mini), regions=REGIONS, energy="layout")
    sample(mini, words(mini), regions=REGIONS)
    assert all(weight.grad is None and weight.requires_grad for weight in mini.unet.parameters())
    assert torch.is_grad_enabled()


def test_nothing_is_computed_beyond_the_last_map(mini):
    runs = []
    hook = mini.unet.conv_out.register_forward_hook(lambda *_: runs.append(torch.is_grad_enabled()))
    try:
        sample(mini, words(mini), regions=REGIONS, energy=Guidance(layout_energy, "first", METHODS["layout"].schedule))
        assert len(runs) == 4  # one a step: inner forwards end early
        runs.clear()
        after_step = Guidance(layout_energy, "first", Schedule(steps=2, inner=0, after_step=True))
        sample(mini, words(mini), regions=REGIONS, energy=after_step)
        assert len(runs) == 4 and not any(runs)  # one a step; none keeps a way back
    finally:
        hook.remove()


def test_processors_are_put_back_even_after_an_error(mini):
    before = dict(mini.unet.attn_processors)

    def fails(maps, regions, aspect):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        sample(mini, words(mini), regions=REGIONS, energy=Guidance(fails))
    assert mini.unet.attn_processors == before and torch.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), capture_cross_attention(mini.unet):
        assert any(isinstance(each, CaptureProcessor) for each in mini.unet.attn_processors.values())
        _ = 1 / 0
    assert mini.unet.attn_processors == before


def test_capture_changes_no_bit_and_maps_are_shares(pipe):
    unet, backbone = pipe.unet, Backbone.from_pipe(pipe)
    conditioning = backbone.prepare_conditioning([words(pipe)], None, 1.0, (32, 32))
    inputs = torch.randn(1, unet.config.in_channels, 4, 4, generator=torch.Generator().manual_seed(0))

    def run():
        return backbone.predict_raw(inputs, 500, conditioning.positive, conditioning.added)

    with torch.no_grad():
        plain = run()
        with capture_cross_attention(pipe) as capture:
            watched = run()
    assert torch.equal(plain, watched) and tuple(capture.maps) == cross_attention_layers(unet)
    assert [name[:2] for name in capture.maps] == sorted((name[:2] for name in capture.maps), key="domiup".find)
    for maps in capture.maps.values():
        assert maps.ndim == 4 and maps.shape[-1] == 77 and maps.shape[1] > 1
        assert torch.allclose(maps.sum(-1), torch.ones(()), atol=1e-5) and maps.std() > 1e-3
    with pytest.raises(ValueError, match="change it"), capture_cross_attention(pipe, ["up_blocks.9"]):
        pass


def test_attention_slicing_keeps_working(mini):
    pipe = debug_pipeline()
    whole = sample(pipe, words(pipe), regions=REGIONS).latents
    pipe.enable_attention_slicing(1)
    assert torch.allclose(sample(pipe, words(pipe), regions=REGIONS).latents, whole, atol=1e-4)


def test_a_bias_changes_the_conditional_half_only(mini):
    conditioning = Backbone.from_pipe(mini).prepare_conditioning([words(mini)], None, 3.0, (32, 32))
    inputs = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    both = torch.cat([conditioning.negative, conditioning.positive])

    def bias(pixels):
        lean = torch.zeros(2, pixels, 77)
        lean[1, : pixels // 2, 3] = 4.0
        return lean

    with torch.no_grad():
        plain = mini.unet(inputs, 500, both).sample
        with capture_cross_attention(mini.unet, bias=bias):
            leaning = mini.unet(inputs, 500, both).sample
    assert torch.allclose(plain[0], leaning[0], atol=1e-5) and not torch.allclose(plain[1], leaning[1], atol=1e-3)


@pytest.mark.parametrize("masked", [False, True])
def test_the_layers_computed_here_are_those_of_diffusers(pipe, masked):
    """One mask for all heads equals one for each; without a mask no bit differs."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    layer = next(each for name, each in pipe.unet.named_modules() if name.endswith("attn2"))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(2, 16, layer.to_q.in_features, generator=generator)
    text = torch.randn(2, 77, layer.to_k.in_features, generator=generator)
    mask = torch.randn(2, 16, 77, generator=generator) if masked else None
    capture = Capture((), bias=lambda pixels: mask)
    with torch.no_grad():
        ours = CaptureProcessor("", AttnProcessor2_0(), capture)(layer, pixels, text)
        theirs = AttnProcessor2_0()(layer, pixels, text, mask)
    assert torch.allclose(ours, theirs, atol=1e-6) and (masked or torch.equal(ours, theirs))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_finite_and_moves(dtype):
    pipe = debug_pipeline(kind="sd1").to(dtype=dtype)
    plain = sample(pipe, words(pipe), **SHORT).latents
    for method in ("layout", "boxdiff", "combined"):
        guided = sample(pipe, words(pipe), regions=REGIONS, energy=method, **SHORT)
        assert guided.latents.dtype == dtype and guided.latents.isfinite().all(), method
        assert not torch.equal(plain, guided.latents), method
        assert any(sum(note.updates) for note in guided.trace), method
        assert all(math.isfinite(value) for note in guided.trace for value in note.before), method


def test_levels_know_how_latents_are_scaled(mini):
    euler, ddim = (kind.from_config(mini.scheduler.config) for kind in (EulerDiscreteScheduler, DDIMScheduler))
    for scheduler in (euler, ddim):
        scheduler.set_timesteps(10)
    stretched, plain = get_noise_level(euler, 0, euler.timesteps[0]), get_noise_level(ddim, 0, ddim.timesteps[0])
    assert stretched.sigma == pytest.approx(float(euler.sigmas[0]), rel=1e-3)
    assert stretched.latent_scale == pytest.approx((1 + stretched.sigma**2) ** 0.5) and plain.latent_scale == 1
    assert 0.9 < plain.noise_variance < 1


COSINE = {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing", "set_alpha_to_one": True}


def test_a_cosine_schedule_begins_in_almost_pure_noise():
    euler = EulerDiscreteScheduler(beta_schedule="squaredcos_cap_v2", timestep_spacing="trailing")
    euler.set_timesteps(5)
    level = get_noise_level(euler, 0)
    assert level.sigma == pytest.approx(float(euler.sigmas[0]), rel=1e-3) and level.sigma > 1e4
    assert level.latent_scale == pytest.approx(float(euler.init_noise_sigma), rel=1e-3)


def test_a_cosine_schedule_is_guided_as_any_other(mini, monkeypatch):
    monkeypatch.setattr(mini, "scheduler", DDIMScheduler.from_config(mini.scheduler.config, **COSINE))
    plain = sample(mini, words(mini), seed=3).image
    assert plain.tobytes() == mini(prompt=words(mini), seed=3).images[0].tobytes()
    guided = sample(mini, words(mini), seed=3, regions=REGIONS)
    assert guided.latents.isfinite().all() and guided.trace[0].after[0] < guided.trace[0].before[0]


def test_pictures_of_another_shape(mini):
    got = sample(mini, words(mini), regions=REGIONS, height=32, width=64)
    assert got.image.size == (64, 32) and np.isfinite(got.trace[0].before[0])


def test_the_callback_gets_every_step(mini):
    steps = []
    sample(mini, words(mini), regions=REGIONS, num_inference_steps=3, callback=lambda step, latents: steps.append(step))
    assert steps == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "words_"),
    [
        ({"regions": [REGIONS, REGIONS]}, "one list for each prompt"),
        ({"energy": "wishful"}, "expected one of"),
        ({"regions": [Region((0, 0, 1, 1), (77,))]}, "positions below 77"),
        ({"seed": [1, 2]}, "one seed"),
        ({"height": 33}, "multiples of 8"),
        ({"num_inference_steps": 0}, "expected at least 1"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(mini, change, words_):
    with pytest.raises(GuidanceError, match=words_):
        sample(mini, words(mini), **{"regions": REGIONS, **change})


def test_a_scheduler_without_alphas_draws_plain_only():
    pipe = debug_pipeline()
    pipe.scheduler = EDMEulerScheduler()
    assert sample(pipe, words(pipe), num_inference_steps=2).latents.shape == (1, 8, 4, 4)
    with pytest.raises(GuidanceError, match="use DDIM"):
        sample(pipe, words(pipe), num_inference_steps=2, regions=REGIONS)


def test_maps_are_kept_on_request(mini):
    kept = sample(mini, words(mini), regions=REGIONS, energy="layout", keep_maps=True, num_inference_steps=2).maps
    assert len(kept) == 10 and kept[0][0].shape == (2, 2, 2) and kept[0][0].isfinite().all()
    assert sample(mini, words(mini), regions=REGIONS, num_inference_steps=2).maps == []


def test_an_object_without_a_unet_is_refused():
    with pytest.raises(GuidanceError, match="expected a pipeline of Stable Diffusion"):
        sample(object(), None)


def test_a_model_says_which_layers_show_its_words():
    plain, telling = debug_pipeline(), debug_pipeline()
    telling.register_to_config(guidance_layers="up_blocks.0")
    own, early = (Backbone.from_pipe(pipe).select_layers("own") for pipe in (telling, plain))
    assert own and all(name.startswith("up_blocks.0.") for name in own)
    assert early == Backbone.from_pipe(plain).select_layers("early") != own
    assert METHODS["combined"].layers == "own"


def test_the_noise_of_a_stochastic_scheduler_is_changed_as_that_of_the_beginning(mini, monkeypatch):
    config = mini.scheduler.config
    stochastic = DPMSolverMultistepScheduler.from_config(config, algorithm_type="sde-dpmsolver++", euler_at_final=True)
    monkeypatch.setattr(mini, "scheduler", stochastic)
    plain, seen = sample(mini, words(mini), seed=3, num_inference_steps=4), []
    kept = sample(mini, words(mini), seed=3, num_inference_steps=4, change_noise=lambda n: seen.append(n) or n)
    assert torch.equal(kept.latents, plain.latents) and len(seen) == 1 + 4
    changed = sample(mini, words(mini), seed=3, num_inference_steps=4, change_noise=lambda n: n if n is seen[0] else -n)
    assert not torch.equal(changed.latents, plain.latents)
