"""What only Stable Diffusion XL has: two text encoders, a pooled prompt, the size of the picture."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from peft import LoraConfig, get_peft_model_state_dict

from audiotoken.debug import POOLED, WIDTHS, debug_pipeline
from audiotoken.errors import PromptError
from audiotoken.pipeline_xl import AudioTokenXLPipeline

RATE = 16_000
SIGNAL = (0.3 * np.sin(2 * np.pi * 700 * np.arange(12_000) / RATE)).astype(np.float32)
FIRST, SECOND = WIDTHS["xl"]


@pytest.fixture(scope="module")
def pipe():
    return debug_pipeline(kind="xl")


@pytest.fixture
def fresh():
    return debug_pipeline(kind="xl")


def draw(pipe, audio=SIGNAL, **kwargs):
    return pipe(audio, rate=None if audio is None else RATE, output_type="np", **kwargs).images


def told(pipe, *args, **kwargs):
    """What the denoiser was told besides in its first step: unguided half, guided half."""
    seen = []
    unet_hook = pipe.unet.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["added_cond_kwargs"]), with_kwargs=True
    )
    try:
        draw(pipe, *args, num_inference_steps=1, **kwargs)
    finally:
        unet_hook.remove()
    return [{name: value[half] for name, value in seen[0].items()} for half in (0, 1)]


def test_without_a_sound_it_is_sdxl_bit_for_bit(pipe):
    parts = {name: part for name, part in pipe.components.items() if not name.startswith("audio")}
    plain = StableDiffusionXLPipeline(**parts, add_watermarker=False)
    plain.set_progress_bar_config(disable=True)
    texts = ["a photo of a dog", "rain"]
    for negative in (None, ["", ""], ["a cat", "a cat"]):
        options = {"num_inference_steps": 2, "guidance_scale": 5.0, "negative_prompt": negative}
        seeded = [torch.Generator().manual_seed(4) for _ in texts]
        expected = plain(texts, generator=seeded, output_type="np", **options).images
        assert np.array_equal(draw(pipe, None, prompt=texts, seed=4, **options), expected)


def test_each_text_encoder_reads_its_part(pipe):
    token = torch.randn(1, 1, pipe.token_width, generator=torch.Generator().manual_seed(1))
    for part, changed in ((slice(0, FIRST), slice(0, FIRST)), (slice(FIRST, None), slice(FIRST, None))):
        other = token.clone()
        other[..., part] += 1
        (before,), (after,) = pipe.encode_prompts("a <audio>", token), pipe.encode_prompts("a <audio>", other)
        difference = (after.embeddings - before.embeddings).abs().amax(dim=(0, 1))  # (features,)
        assert (difference[changed] > 0).all() and difference.count_nonzero() == len(difference[changed])
        assert torch.equal(after.pooled, before.pooled) == (part.start == 0)  # the second encoder's


def test_no_negative_prompt_is_zeros_where_the_model_says_so(pipe, fresh):
    unguided, guided = told(pipe)
    assert unguided["text_embeds"].count_nonzero() == 0 and guided["text_embeds"].count_nonzero() > 0
    fresh.register_to_config(force_zeros_for_empty_prompt=False)
    unguided, _ = told(fresh)
    torch.testing.assert_close(unguided["text_embeds"], fresh.encode_prompts("")[0].pooled[0])


def test_what_training_tells_the_denoiser_is_what_drawing_tells_it(pipe):
    tokens = pipe.audio_tokens(SIGNAL, RATE)
    for size in (None, (40, 24)):  # height, width
        height, width = size or (None, None)
        _, guided = told(pipe, height=height, width=width)
        condition = pipe.encode(["a photo of <audio>"], [[tokens[0]]], size)
        assert condition.added["text_embeds"].shape == (1, POOLED)
        for name, value in condition.added.items():
            torch.testing.assert_close(value[0], guided[name])
    assert condition.added["time_ids"].tolist() == [[40, 24, 0, 0, 40, 24]]


def test_a_prompt_read_before_is_drawn_as_it_was(pipe):
    tokens = pipe.audio_tokens(SIGNAL, RATE)
    (words,) = pipe.encode_prompts("<audio> at night", tokens)
    expected = draw(pipe, prompt="<audio> at night", seed=2)
    assert np.array_equal(draw(pipe, None, prompt=words, seed=2), expected)
    both = draw(pipe, None, prompt=[*pipe.encode_prompts("a dog"), words], seed=2)
    np.testing.assert_allclose(both[1:], expected, atol=5e-4)
    with pytest.raises(PromptError, match="a sound with a prompt that is encoded already"):
        draw(pipe, prompt=words)


def test_any_sdxl_pipeline_can_be_given_ears(pipe):
    parts = {name: part for name, part in pipe.components.items() if not name.startswith("audio")}
    ears = {"audio_encoder": pipe.audio_encoder, "audio_embedder": pipe.audio_embedder}
    hearing = AudioTokenXLPipeline.from_pipe(StableDiffusionXLPipeline(**parts, add_watermarker=False), **ears)
    hearing.set_progress_bar_config(disable=True)
    assert np.array_equal(draw(hearing, num_inference_steps=4, guidance_scale=3.0), draw(pipe))


@pytest.mark.parametrize("token", ["learned", "label"])
def test_offloading_draws_the_same(pipe, fresh, token):
    fresh.enable_model_cpu_offload(device="cpu")
    assert np.array_equal(draw(fresh, token=token), draw(pipe, token=token))


def test_a_lora_acts_at_its_strength_on_both_text_encoders(pipe, fresh, tmp_path):
    donor = debug_pipeline(kind="xl")
    layers = {}
    for name in ("text_encoder", "text_encoder_2"):
        part = getattr(donor, name)
        part.add_adapter(LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
        layers[f"{name}_lora_layers"] = get_peft_model_state_dict(part)
    StableDiffusionXLPipeline.save_lora_weights(tmp_path, **layers)
    fresh.load_lora_weights(tmp_path)
    (with_lora,), (without,) = fresh.encode_prompts("a dog"), pipe.encode_prompts("a dog")
    change = (with_lora.embeddings - without.embeddings).abs().mean(dim=(0, 1))
    assert change[:FIRST].mean() > 1e-3 and change[FIRST:].mean() > 1e-3
    assert np.abs(draw(fresh) - draw(pipe)).mean() > 1e-4
    np.testing.assert_allclose(draw(fresh, cross_attention_kwargs={"scale": 0.0}), draw(pipe), atol=5e-4)


def test_tokenizers_that_disagree_are_refused(fresh):
    fresh.tokenizer.add_tokens("dog")  # as a textual inversion loaded into one of them does
    fresh.text_encoder.resize_token_embeddings(len(fresh.tokenizer))
    with pytest.raises(
        PromptError, match="two tokenizers split the words before a sound into different numbers of tokens"
    ):
        fresh.encode(["dog <audio>"], [[torch.zeros(1, FIRST + SECOND)]])


def test_a_sound_is_nothing_to_avoid(pipe):
    with pytest.raises(PromptError, match="negative prompt contains <audio>"):
        draw(pipe, negative_prompt="dull", negative_prompt_2="no <audio>")
