"""Launches at the true structure of Stable Diffusion 1.5: guidance costs at most a quarter more, with any regions."""

import pytest
import torch

from experiments.benchmarks.counting import Cost, Costs, count_method, make_backbone
from experiments.benchmarks.launches import CountLaunches, FusedAttention
from guidance.methods import METHODS, Schedule


def test_views_and_the_cpu_are_no_launches_and_attention_is_one():
    x, host = torch.empty(1, 2, 8, 4, device="meta", requires_grad=True), torch.ones(3)
    with CountLaunches() as counter, FusedAttention():
        y = torch.nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=x.new_zeros(8, 8))
        (y.transpose(1, 2)[:, :2] * 2).sum().backward()
        _ = host * 2, host.to("meta")
    assert counter.launches["_scaled_dot_product_efficient_attention"] == 1
    assert counter.launches["_scaled_dot_product_efficient_attention_backward"] == 1
    assert "transpose" not in counter.launches and counter.launches["mul"] == 2  # forwards and backwards
    assert counter.transfers == {"to": 1} and counter.flops > 0


def test_a_picture_is_computed_by_its_schedule():
    each = Costs(
        Cost(100, 0, 0),
        Cost(100, 0, 0),
        Cost(110, 0, 0),
        Cost(40, 0, 0),
        Schedule(steps=10, inner=5, bias=1.0, bias_steps=0.5),
    )
    assert each.updates == 50 and each.of_picture("launches") == 25 * 100 + 25 * 110 + 50 * 40
    assert each.ratio("launches") == pytest.approx(1.45)


@pytest.mark.slow
def test_guidance_costs_a_quarter_more_launches_at_most():
    backbone = make_backbone("sd1")
    costs = count_method(backbone, METHODS["combined"], regions=8)
    assert 1 < costs.ratio("launches") <= 1.25 and 1 < costs.ratio("flops") < 1.15
    assert costs.biased == costs.plain  # a bias costs nothing
