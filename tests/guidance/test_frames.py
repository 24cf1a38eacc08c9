"""Frames that share a world: the first is read by the others, and stays as it is alone."""

import pytest
import torch

from audiotoken.debug import debug_pipeline
from guidance import Region, animate, frames, sample
from guidance.errors import GuidanceError
from guidance.frames import CrossFrameProcessor, carry_noise, cross_frame_attention, smooth_background

FRAMES = [[Region((x, 0.2, x + 0.3, 0.8), (3,))] for x in (0.0, 0.3, 0.6)]


@pytest.fixture(scope="module")
def pipe():
    return debug_pipeline()


def test_frames_keep_more_of_the_first_than_pictures_do(pipe):
    prompt = pipe.encode_prompts("a dog")[0]
    moving = animate(pipe, prompt, regions=FRAMES, seed=1)
    apart = sample(pipe, [prompt] * 3, regions=FRAMES, seed=1)
    assert len(moving.images) == 3 and moving.latents.shape == apart.latents.shape

    def change(latents):
        return (latents[1:] - latents[:1]).square().mean()

    assert 0 < change(moving.latents) < 0.7 * change(apart.latents)


def test_how_many_are_drawn_at_once_changes_nothing(pipe):
    prompt = pipe.encode_prompts("a dog")[0]
    steps: list[tuple[int, int]] = []
    whole = animate(pipe, prompt, regions=FRAMES, num_inference_steps=2)
    pairs = animate(
        pipe, prompt, regions=FRAMES, num_inference_steps=2, at_once=2, callback=lambda *at: steps.append(at)
    )
    assert torch.allclose(whole.latents, pairs.latents, atol=1e-4) and steps == [(0, 2)] * 2 + [(1, 2)] * 2
    (alone,) = animate(pipe, prompt, regions=FRAMES[:1], num_inference_steps=2).latents
    assert torch.allclose(alone, whole.latents[0], atol=1e-4)


def test_fewer_are_drawn_at_once_where_memory_is_short(pipe, monkeypatch):
    prompt, sizes = pipe.encode_prompts("a dog")[0], []
    whole = animate(pipe, prompt, regions=FRAMES, num_inference_steps=2)

    def sample_two(backbone, prompts, **options):
        sizes.append(len(prompts))
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("by this test")
        return sample(backbone, prompts, **options)

    monkeypatch.setattr(frames, "sample", sample_two)
    pairs = animate(pipe, prompt, regions=FRAMES, num_inference_steps=2)
    assert sizes == [3, 3, 2, 2]  # 8, 4 and 2 at once
    assert torch.allclose(whole.latents, pairs.latents, atol=1e-4)
    monkeypatch.setattr(frames, "sample", lambda backbone, prompts, **options: sample_two(backbone, [0] * 3))
    with pytest.raises(torch.OutOfMemoryError):
        animate(pipe, prompt, regions=FRAMES, num_inference_steps=2)


def test_halves_of_the_batch_read_their_own_first_frame(pipe):
    unet = pipe.unet
    embeddings, inputs = torch.randn(1, 77, 32).expand(4, -1, -1), torch.randn(4, 8, 4, 4)
    with torch.no_grad(), cross_frame_attention(unet, 2):
        both = unet(inputs, 500, embeddings).sample
        halves = [unet(half, 500, embeddings[:2]).sample for half in inputs.split(2)]
        assert torch.allclose(both, torch.cat(halves), atol=1e-5)
        other = unet(torch.cat([inputs[:1] + 1, inputs[1:]]), 500, embeddings).sample
    assert not torch.allclose(both[1], other[1], atol=1e-4) and torch.allclose(both[2:], other[2:], atol=1e-5)


def test_processors_are_put_back(pipe):
    before = dict(pipe.unet.attn_processors)
    with pytest.raises(ZeroDivisionError), cross_frame_attention(pipe.unet, 2):
        kinds = {name[-15:-10]: type(each) for name, each in pipe.unet.attn_processors.items()}
        assert kinds["attn1"] is CrossFrameProcessor is not kinds["attn2"]
        _ = 1 / 0
    assert pipe.unet.attn_processors == before


def test_noise_moves_with_its_thing_and_nothing_else_does():
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3)).expand(3, -1, -1, -1)
    regions = [[Region((x, y, x + 0.25, y + 0.25), (3,))] for x, y in ((0.0, 0.5), (0.0, 0.5), (0.51, 0.25))]
    first, still, moved = carry_noise(noise, regions)
    assert torch.equal(first, noise[0]) and torch.equal(still, first)
    assert torch.equal(moved[:, 4:8, 8:12], first[:, 8:12, 0:4])  # the region's own cells
    assert torch.equal(moved[:, :, :5], first[:, :, :5]) and torch.equal(moved[:, 12:], first[:, 12:])


def test_a_thing_that_the_first_frame_lacks_keeps_its_noise():
    noise = torch.randn(1, 4, 16, 16).expand(2, -1, -1, -1)
    assert torch.equal(carry_noise(noise, [[], [Region((0.5, 0.5, 0.8, 0.8), (3,))]]), noise)


def test_only_what_is_outside_of_both_is_still():
    latents = torch.stack([torch.zeros(2, 8, 8), torch.ones(2, 8, 8)])
    first, second = [Region((0.0, 0.0, 0.125, 1.0), (1,))], [Region((0.875, 0.0, 1.0, 1.0), (1,))]
    got = smooth_background(latents, [first, second], 0.75)
    assert torch.equal(got[0], latents[0])
    assert got[1, 0, 0].tolist() == [1, 1, 0.25, 0.25, 0.25, 0.25, 1, 1]  # and a cell around


def test_what_cannot_be_animated_is_a_sentence(pipe):
    for options, words in (({"regions": []}, "one or more"), ({"regions": FRAMES, "stillness": 2.0}, "0 to 1")):
        with pytest.raises(GuidanceError, match=words):
            animate(pipe, pipe.encode_prompts("a dog")[0], **options)
