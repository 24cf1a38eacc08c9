"""No step waits for the device: on "meta" reading a value is an error, and transfers are counted."""

from contextlib import nullcontext

import pytest
import torch
from diffusers import EulerDiscreteScheduler, PNDMScheduler

from audiotoken.debug import debug_pipeline
from experiments.benchmarks.launches import CountLaunches
from guidance import METHODS, Backbone, Region
from guidance.backbones import Conditioning
from guidance.methods import Guidance, Regional
from guidance.regional import attend
from guidance.sampling import denoise
from guidance.steering import steer

ROWS = [[Region((0.0, 0.1, 0.4, 0.9), (3,)), Region((0.55, 0.3, 1.0, 0.8), (5, 6))], [Region((0, 0, 0.5, 1), (2,))]]
SIZE = (32, 32)


@pytest.fixture(scope="module")
def backbone():
    return Backbone.from_pipe(debug_pipeline().to("meta"))


def count(backbone, method):
    """Transfers at each step."""
    scheduler = backbone.make_scheduler(4)
    with torch.device("meta"):
        prompt, latents = torch.empty(2, 77, 32), torch.empty(2, 8, 4, 4)
    conditioning, seen = Conditioning(prompt, prompt, guidance_scale=5.0), []
    with torch.no_grad():
        if method is None:
            manager = nullcontext(None)
        elif isinstance(method, Regional):
            manager = attend(backbone, conditioning, ROWS, method, SIZE)
        else:
            manager = steer(backbone, conditioning, ROWS, method, 1.0)
        with manager as steering, CountLaunches() as counter:
            denoise(
                backbone,
                scheduler,
                latents,
                conditioning,
                steering,
                {},
                lambda *_: seen.append(dict(counter.transfers)),
            )
    return seen


@pytest.mark.parametrize("name", ["none", "centroid", "combined", "regional"])
def test_no_step_waits_and_masks_are_sent_once(backbone, name):
    seen = count(backbone, METHODS.get(name))
    assert all(each.keys() <= {"to"} for each in seen)
    assert seen[0] if name == "none" else seen[0]["to"] > 1  # the timesteps, and what is sent at the first step
    assert seen[-1] == seen[1]  # an update after a step is computed for the first time in the second


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, PNDMScheduler])
def test_no_scheduler_waits(backbone, kind, monkeypatch):
    monkeypatch.setattr(backbone.pipe, "scheduler", kind.from_config(backbone.pipe.scheduler.config))
    seen = count(backbone, METHODS["combined"])
    assert "from" not in seen[-1] and seen[-1] == seen[1]


def test_what_waits_is_noticed(backbone):
    def wait(maps, regions, aspect):
        return maps[0].sum() * float(maps[0].mean())

    with pytest.raises((RuntimeError, NotImplementedError)):
        count(backbone, Guidance(wait, "early", METHODS["combined"].schedule))
