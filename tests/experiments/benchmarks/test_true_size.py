"""A picture's cost from a few steps: measured on debug parts, and computed from known figures."""

import pytest
import torch

from audiotoken.debug import debug_pipeline
from audiotoken.errors import OptionError
from experiments.benchmarks import true_size
from experiments.benchmarks.true_size import Seconds, bench_steps, format_steps
from guidance import UNetBackbone
from guidance.backbones import Conditioning


def test_a_picture_is_computed_from_its_steps():
    kinds = {"own": 2.0, "plain": 2.0, "biased": 2.0, "guided": 3.0}
    row = {kind: [Seconds(seconds), Seconds(seconds)] for kind, seconds in kinds.items()}
    text = format_steps(["combined"], [row], "here")
    assert text.startswith("here") and "1.15" in text  # 15 updates of a second beside 50 steps of two


def test_all_kinds_of_steps_are_timed_in_turns(monkeypatch):
    def make_model(size, device, dtype):
        prompt = torch.randn(2, 77, 32, generator=torch.Generator().manual_seed(0))
        return UNetBackbone(debug_pipeline()), (
            Conditioning(prompt[:1], prompt[1:], {}, {}, 5.0),
            torch.ones(1, 8, 4, 4),
        )

    told, kinds, measure = [], [], true_size.measure
    monkeypatch.setattr(true_size, "make_model", make_model)
    monkeypatch.setattr(true_size, "measure", lambda *options: kinds.append(options[4:]) or measure(*options))
    text = bench_steps(methods=["combined", "layout"], turns=1, on_row=told.append)
    assert [each.split(":")[0] for each in told] == ["turn 1, combined", "turn 1, layout"]
    assert kinds == [(["own"],), (["own"],), (), ()]  # each method has warmed up before it is measured
    assert "combined" in text and "layout" in text and "nan" not in text
    with pytest.raises(OptionError, match="a multiple of 64"):
        bench_steps(size=100)
