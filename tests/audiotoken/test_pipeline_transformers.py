"""Transformers that read sounds: where words and sounds stand after templating, what is drawn, what a token learns."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import audiotoken
import guidance
from audiotoken.debug_transformers import TRANSFORMERS, debug_joint_pipeline
from audiotoken.errors import PromptError
from audiotoken.joint_text import find_span
from audiotoken.losses import flow_loss, logit_normal_levels
from audiotoken.stereo.generation import draw
from audiotoken.stereo.planning import Plan

RATE = 16_000
SIZE = {"height": 32, "width": 32}
TEXT = "a photo of a dog and a frog"


def tone(hertz):
    return (0.1 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)).astype(np.float32)


@pytest.fixture(scope="module", params=TRANSFORMERS)
def pipe(request):
    return debug_joint_pipeline(request.param)


def read_back(pipe, prompt, positions):
    """The text that stands at positions, by the first encoder whose tokens the denoiser attends to."""
    reader = next(reader for reader in pipe._readers if reader.start is not None)
    options = {"truncation": True, "max_length": reader.limit, "add_special_tokens": reader.adds_special}
    ids = reader.tokenizer(reader.template(prompt.text), **options).input_ids
    own = [at - reader.start + reader.dropped for at in positions]
    return reader.tokenizer.decode([ids[at] for at in own if 0 <= at < len(ids)]).strip()


def test_words_are_found_after_the_template(pipe):
    (prompt,) = pipe.encode_prompts(TEXT)
    for word in ("dog", "frog"):
        positions = pipe.find_word(prompt, word)
        assert read_back(pipe, prompt, positions).replace(" ", "") == word
        assert max(positions) < prompt.embeddings.shape[1]
    assert set(pipe.find_word(prompt, "dog")).isdisjoint(pipe.find_word(prompt, "frog"))
    with pytest.raises(PromptError, match="does not contain 'cat'"):
        pipe.find_word(prompt, "cat")


def test_a_prompt_of_words_that_the_template_has_too_is_found_after_it(pipe):
    reader = next(reader for reader in pipe._readers if reader.start is not None)
    before = reader.template("?").split("?")[0]
    start = reader.start - reader.dropped + len(reader.tokenizer(before, add_special_tokens=False).input_ids)
    for word in re.findall("[a-z]+", before)[:4]:
        (prompt,) = pipe.encode_prompts(word)
        positions = pipe.find_word(prompt, word)
        assert min(positions) >= start and read_back(pipe, prompt, positions).replace(" ", "") == word


def test_a_placeholder_of_a_picture_is_refused():
    with pytest.raises(PromptError, match="which stands for a picture in FLUX"):
        debug_joint_pipeline("flux2_dev").encode_prompts("a dog [IMG] and a frog")


def test_a_word_beyond_one_encoder_is_found_in_the_tokens_of_another(pipe):
    text, readers = "a photo of a dog", (replace(pipe._readers[0], limit=4), *pipe._readers[1:])
    span = text.index("dog"), len(text)
    if len(readers) == 1:
        with pytest.raises(PromptError, match="beyond the 4 tokens"):
            find_span(readers, text, span)
    else:  # after CLIP
        found = find_span(readers, text, span)
        assert found and set(found) <= set(find_span(pipe._readers, text, span))


def test_labels_are_words_of_the_prompt(pipe):
    (prompt,) = pipe.encode_prompts("a photo of <audio> and <audio>", ["dog", "frog"])
    assert prompt.text == "a photo of a dog and a frog" and len(prompt.positions) == 2
    (written,) = pipe.encode_prompts(prompt.text)
    assert torch.equal(prompt.embeddings, written.embeddings)
    assert prompt.positions == (pipe.find_word(written, "dog"), pipe.find_word(written, "frog"))
    with pytest.raises(PromptError, match="does not contain"):  # the word is the sound's
        pipe.find_word(prompt, "dog")


def test_a_learned_token_is_read_by_every_encoder(pipe):
    tokens = pipe.audio_tokens([tone(300), tone(900)], RATE)
    assert tokens.shape[-1] == pipe.token_width
    first, second = (pipe.encode_prompts("a photo of <audio>", tokens[i : i + 1])[0] for i in range(2))
    assert first.positions == second.positions
    changed = (first.embeddings - second.embeddings).abs().sum(-1)[0]
    assert all(changed[at] > 0 for at in first.positions[0])
    if first.pooled is not None:
        assert not torch.equal(first.pooled, second.pooled)
    leaf = tokens[:1].clone().requires_grad_()
    pipe.encode(["a photo of <audio>"], [[leaf[0]]]).embeddings.square().sum().backward()
    assert leaf.grad.isfinite().all() and leaf.grad.abs().sum() > 0


def test_called_alone_it_draws_what_sample_draws(pipe):
    texts = ["a dog", "a frog and a dog"]
    prompts = pipe.encode_prompts(texts)
    options = {"seed": 3, "negative_prompt": "photo", **SIZE}
    images = pipe(prompt=prompts, **options).images
    drawn = guidance.sample(pipe, prompts, **options).images
    assert [image.tobytes() for image in images] == [image.tobytes() for image in drawn]
    assert pipe(tone(300), rate=RATE, **SIZE).images[0].size == (32, 32)


@pytest.mark.parametrize("scale", [None, 1.0])
def test_a_negative_prompt_that_is_not_read_is_told_as_in_a_plan(pipe, scale, monkeypatch):
    monkeypatch.setattr(type(pipe), "_draw", lambda *given, **options: None)
    unread = guidance.Backbone.from_pipe(pipe).describe_unread("a cat", scale)
    expected = [each for each in unread if "negative" in each]
    for negative, told in (("a cat", expected), (["", "a cat"], expected), ("", []), (None, [])):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pipe(prompt=["a dog", "a frog"], negative_prompt=negative, guidance_scale=scale)
        assert [str(each.message) for each in caught if "negative" in str(each.message)] == told


def test_flux2_dev_has_no_negative_prompt():
    with pytest.warns(UserWarning, match=r"^The negative prompt has no effect on this model\.$"):
        debug_joint_pipeline("flux2_dev")(prompt="a dog", negative_prompt="a cat", num_inference_steps=1, **SIZE)


def test_a_plan_is_drawn_with_the_familys_own_method(pipe):
    text = "a dog and a frog"
    (prompt,) = pipe.encode_prompts(text)
    regions = {
        0: guidance.Region((0.0, 0.0, 0.5, 1.0), pipe.find_word(prompt, "dog"), "dog"),
        1: guidance.Region((0.5, 0.0, 1.0, 1.0), pipe.find_word(prompt, "frog"), "frog"),
    }
    blank: dict = {name: () for name in ("heard", "known", "words", "matches", "notes")}
    recording = np.zeros((2, RATE), np.float32)
    blank |= {"scene": None, "similarity": np.zeros((0, 0)), "seconds": {}}
    planned = Plan(recording, RATE, prompt=prompt, regions=regions, **blank)
    result = draw(planned, pipe, seed=1, **SIZE)
    assert result.energy == "regional" and len(result.sample.trace) == 2
    plain = draw(planned, pipe, seed=1, energy="none", **SIZE)
    assert not torch.equal(result.sample.latents, plain.sample.latents)
    with pytest.raises(guidance.GuidanceError, match='expected "regional" or "none"'):
        draw(planned, pipe, energy="layout", **SIZE)
    with pytest.raises(guidance.GuidanceError, match="expected a pipeline with a UNet"):
        guidance.animate(pipe, prompt, regions=[list(regions.values())])


def test_a_folder_is_loaded_by_its_class(pipe, tmp_path):
    plain = {name: part for name, part in pipe.components.items() if not name.startswith("audio_")}
    _, stock = type(pipe).__bases__
    options = {"is_distilled": False} if "is_distilled" in pipe.config else {}
    stock(**plain, **options).save_pretrained(tmp_path)
    index = tmp_path / "model_index.json"  # published ones have the names of transformers 4
    index.write_text(re.sub(r'"(T5|Qwen2)Tokenizer"', r'"\1TokenizerFast"', index.read_text()))
    loaded = audiotoken.AudioTokenPipeline.from_pretrained(tmp_path)
    assert type(loaded) is type(pipe) and loaded.audio_encoder is None


def test_stable_diffusion_3_without_t5_is_loaded_and_draws_the_same(tmp_path):
    pipe = debug_joint_pipeline("sd3", learned=False)
    pipe.register_modules(text_encoder_3=None, tokenizer_3=None)
    pipe.register_to_config(max_sequence_length=0)
    pipe.save_pretrained(tmp_path)
    loaded = audiotoken.AudioTokenPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert loaded.text_encoder_3 is None and len(loaded._readers) == 2
    (prompt,), (again,) = pipe.encode_prompts("a dog"), loaded.encode_prompts("a dog")
    assert torch.equal(prompt.embeddings, again.embeddings) and prompt.embeddings.shape[1] == pipe.tokenizer_max_length
    assert loaded(prompt="a dog", seed=3).images[0].tobytes() == pipe(prompt="a dog", seed=3).images[0].tobytes()


def test_a_token_learns_by_rectified_flow(pipe):
    """The loss falls when only the token moves, through the frozen text encoders and the frozen transformer."""
    backbone = guidance.Backbone.from_pipe(pipe)
    size, generator = (32, 32), torch.Generator().manual_seed(0)
    token = pipe.audio_tokens([tone(300)], RATE)[0].requires_grad_()  # (vectors, token_width)
    shape = backbone.latent_shape(2, size)
    latents, noise = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    levels = logit_normal_levels(2, generator)
    losses = []
    optimizer = torch.optim.Adam([token], lr=0.05)
    for _ in range(4):
        encoded = pipe.encode(["a photo of <audio>"] * 2, [[token]] * 2)
        fixed = backbone.prepare_conditioning(pipe.encode_prompts(["a photo", "a photo"]), None, 0.0, size).added
        added = {name: value for name, value in fixed.items() if name != "mask"} | encoded.added

        def predict(noisy, times, encoded=encoded, added=added):
            return backbone.predict_raw(noisy, times, encoded.embeddings, added)

        loss = flow_loss(predict, latents, noise, levels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_the_loss_of_a_known_velocity_is_nothing():
    latents, noise = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    levels = torch.tensor([0.25, 0.5])

    def predict(noisy, times):
        torch.testing.assert_close(times, torch.tensor([250.0, 500.0]))
        torch.testing.assert_close(noisy[0], 0.75 * latents[0] + 0.25 * noise[0])
        return noise - latents

    assert flow_loss(predict, latents, noise, levels) == 0
    assert flow_loss(lambda noisy, times: noise - latents + 2, latents, noise, levels) == pytest.approx(4.0)
    drawn = logit_normal_levels(1000, torch.Generator().manual_seed(0))
    assert drawn.min() > 0 and drawn.max() < 1 and drawn.median() == pytest.approx(0.5, abs=0.05)
