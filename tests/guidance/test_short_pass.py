"""A forward pass that ends early: the same maps, nothing computed for the rest, the UNet as it was; graphs hold."""

import sys

import pytest
import torch
from forks import run_forked

from audiotoken.debug import debug_pipeline
from guidance import UNetBackbone, capture_cross_attention
from guidance.short_pass import end_after


@pytest.fixture
def pipe():
    return debug_pipeline()


def inputs_of(unet):
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(2, unet.config.in_channels, 4, 4, generator=generator)
    return latents, torch.tensor(300), torch.randn(2, 77, unet.config.cross_attention_dim, generator=generator)


def test_every_layer_is_read_in_a_pass_that_ends_after_it(pipe):
    names, inputs, ran = UNetBackbone(pipe).cross_attention_layers, inputs_of(pipe.unet), []
    parts = dict(pipe.unet.named_modules())
    for name, module in parts.items():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    with torch.no_grad(), capture_cross_attention(pipe.unet) as capture:
        pipe.unet(*inputs)
        whole, all_parts = dict(capture.maps), len(ran)
        for number, name in enumerate(names):
            capture.clear()
            ran.clear()
            with end_after(pipe.unet, name):
                pipe.unet(*inputs)
            assert tuple(capture.maps) == names[: number + 1]
            assert all(torch.equal(each, whole[key]) for key, each in capture.maps.items())
            assert len(ran) < all_parts and not any(each.startswith("conv_norm_out") for each in ran)
            assert not any("samplers" in each for each in ran if each.startswith(name[: name.index(".attentions")]))
    assert dict(pipe.unet.named_modules()) == parts


def test_the_unet_is_put_back_after_an_error(pipe):
    parts = list(pipe.unet.named_modules())
    with pytest.raises(ZeroDivisionError), end_after(pipe.unet, UNetBackbone(pipe).cross_attention_layers[0]):
        raise ZeroDivisionError
    assert list(pipe.unet.named_modules()) == parts


COMPILED = """
from functools import partial

import torch
from diffusers import UNet2DConditionModel
from torch._dynamo.utils import counters

from audiotoken.debug import build_seeded, debug_pipeline, sharpen
from guidance import METHODS, Region, sample

torch._dynamo.reset()
counters.clear()
pipe = debug_pipeline()
small = partial(  # one level and no middle, as tracing takes most of the time
    UNet2DConditionModel,
    sample_size=4,
    in_channels=pipe.unet.config.in_channels,
    out_channels=pipe.unet.config.out_channels,
    block_out_channels=(16,),
    layers_per_block=1,
    down_block_types=("CrossAttnDownBlock2D",),
    mid_block_type=None,
    up_block_types=("CrossAttnUpBlock2D",),
    cross_attention_dim=pipe.unet.config.cross_attention_dim,
    norm_num_groups=8,
)
pipe.unet = sharpen(build_seeded(0, small), ("attn2.to_q", "attn2.to_k"), 4.0)
regions = [Region((0.0, 0.1, 0.4, 0.9), (2,)), Region((0.5, 0.2, 0.9, 0.7), (5,))]
options = {"regions": regions, "num_inference_steps": 2}
prompt = pipe.encode_prompts("a dog and a frog")[0]
plain = sample(pipe, prompt, energy=METHODS["combined"], **options)
pipe.unet.compile(backend="eager")
compiled = sample(pipe, prompt, energy=METHODS["combined"], **options)
same = torch.allclose(compiled.latents, plain.latents, atol=1e-4)
print(same, sum(plain.trace[0].updates) > 0, len(counters["graph_break"]), counters["stats"]["unique_graphs"])
elsewhere = [Region((0.2, 0.0, 0.7, 0.4), (5,)), Region((0.6, 0.3, 1.0, 0.9), (2,)), Region((0, 0, 0.3, 0.3), (3,))]
sample(pipe, prompt, energy=METHODS["combined"], **options | {"regions": elsewhere})
print("others", len(counters["graph_break"]), counters["stats"]["unique_graphs"])
"""


def run_compiled():
    """In a child: `COMPILED`, without the checks of shapes."""
    sys.meta_path[:] = [each for each in sys.meta_path if not type(each).__module__.startswith("jaxtyping")]
    for name in [name for name in sys.modules if name.split(".")[0] in ("audiotoken", "guidance", "spatial")]:
        del sys.modules[name]
    exec(COMPILED, {})


@pytest.mark.slow
def test_a_compiled_unet_has_one_graph_for_each_kind_of_pass(tmp_path):
    """In a child that imports our packages anew: here shapes are checked while testing, which breaks graphs."""
    code, out, err = run_forked(run_compiled, folder=tmp_path)
    assert code == 0, err
    assert out.splitlines() == ["True True 0 2", "others 0 2"]
