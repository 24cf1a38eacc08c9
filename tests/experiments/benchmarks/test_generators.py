"""Operations of a transformer are counted without computing them; attention grows with the square of the sequence."""

from diffusers import FluxTransformer2DModel

from experiments.benchmarks.generators import SIDE, count_operations

TINY = {
    "in_channels": 16,
    "num_layers": 1,
    "num_single_layers": 0,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 8,
    "pooled_projection_dim": 768,
    "guidance_embeds": True,
    "axes_dims_rope": (4, 6, 6),
}


def test_attention_is_two_products_of_the_sequence_with_itself():
    weights, total, attention = count_operations(FluxTransformer2DModel, TINY, 128, 8)
    length = SIDE**2 + 128
    assert attention * 1e12 == 2 * 2 * length**2 * 32  # two products, a multiplication and an addition each, 32 wide
    assert 0 < attention < total and 0 < weights < 1e-3
