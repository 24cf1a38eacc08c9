"""The same pipeline on tiny random models in the published forms: Stable Diffusion 1 and 2 and XL."""

import json
import re

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from audiotoken.debug import WIDTHS, debug_embedder, debug_encoder, debug_folder, debug_pipeline
from audiotoken.errors import CheckpointError, PromptError
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.pipeline_xl import AudioTokenXLPipeline
from audiotoken.prompt import find_word_positions
from audiotoken.stereo.generation import sound_to_image

RATE = 16_000
TIME = np.arange(12_000) / RATE
HIGH = (0.3 * np.sin(2 * np.pi * (2000 + 2500 * TIME) * TIME)).astype(np.float32)
LOW = (0.3 * np.sin(2 * np.pi * (90 + 140 * TIME) * TIME)).astype(np.float32)
STEPS = {"num_inference_steps": 2, "guidance_scale": 4.0}
KINDS = ("sd1", "sd2", "xl")


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    """As published: a plain diffusers folder without audio parts."""
    return debug_folder(kind, tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="module")
def pipe(kind, folder):
    """That folder, given ears."""
    encoder = debug_encoder()
    return load(folder, audio_encoder=encoder, audio_embedder=debug_embedder(encoder, width=sum(WIDTHS[kind])))


def load(folder, by=AudioTokenPipeline, **kwargs):
    pipe = by.from_pretrained(folder, **kwargs)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe, audio=HIGH, *args, **kwargs):
    """(pictures, height, width, 3) in [0, 1]."""
    options = STEPS | {"output_type": "np", "rate": None if audio is None else RATE}
    return pipe(audio, *args, **(options | kwargs)).images


def same(one, other):
    """Equal up to the rounding of another batch size."""
    np.testing.assert_allclose(one, other, atol=5e-4)


def test_a_published_folder_comes_as_its_own_kind(pipe, kind):
    assert type(pipe) is (AudioTokenXLPipeline if kind == "xl" else AudioTokenPipeline)
    assert pipe.scheduler.config.prediction_type == ("v_prediction" if kind == "sd2" else "epsilon")
    assert pipe.token_width == sum(WIDTHS[kind])
    assert pipe.audio_tokens([HIGH, LOW], RATE).shape == (2, 1, pipe.token_width)


def test_either_class_loads_either_model(folder, kind):
    by = AudioTokenPipeline if kind == "xl" else AudioTokenXLPipeline
    assert type(by.from_pretrained(folder)) is not by


@pytest.mark.parametrize("negative", [None, "", "a cat"])
def test_without_a_sound_it_is_the_plain_model_bit_for_bit(pipe, folder, negative):
    plain = load(folder, DiffusionPipeline)
    text = "a photo of a dog"
    options = STEPS | {"negative_prompt": negative, "output_type": "np"}
    expected = plain(text, generator=torch.Generator().manual_seed(4), **options).images
    drawn = draw(pipe, None, text, seed=4, negative_prompt=negative)
    if isinstance(pipe, AudioTokenXLPipeline):  # its weights lie elsewhere in memory, and one matrix product rounds so
        np.testing.assert_allclose(drawn, expected, atol=1e-5)
    else:
        assert np.array_equal(drawn, expected)


def test_a_batch_equals_singles(pipe):
    together = draw(pipe, [HIGH, LOW], seed=3, num_images_per_prompt=2, negative_prompt="dull")
    assert together.shape == (4, 32, 32, 3)
    for i, (sound, seed) in enumerate([(HIGH, 3), (HIGH, 4), (LOW, 3), (LOW, 4)]):
        same(together[i : i + 1], draw(pipe, sound, seed=seed, negative_prompt="dull"))
    assert np.abs(together[0] - together[2]).mean() > 1e-4  # the sound is in the picture


def test_saved_with_ears_it_hears(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert type(loaded) is type(pipe)
    same(draw(loaded), draw(pipe))


def test_half_precision_leaves_the_ears_whole(folder, pipe):
    half = load(folder, dtype=torch.bfloat16, audio_encoder=pipe.audio_encoder, audio_embedder=pipe.audio_embedder)
    assert half.dtype == half.text_encoder.dtype == torch.bfloat16
    assert half.audio_tokens(HIGH, RATE).dtype == torch.float32
    assert np.isfinite(draw(half, token="label")).all() and np.isfinite(draw(half, [HIGH, LOW])).all()


def test_several_tokens_per_clip(pipe, folder):
    embedder = debug_embedder(pipe.audio_encoder, width=pipe.token_width, tokens_per_clip=3)
    several = load(folder, audio_encoder=pipe.audio_encoder, audio_embedder=embedder)
    prompt = "photo <audio> or (<audio>:1.4)"
    (words,) = several.encode_prompts(prompt, several.audio_tokens([HIGH, LOW], RATE))
    assert words.positions == ((2, 3, 4), (7, 8, 9))  # o, r
    together = draw(several, [HIGH, LOW, LOW, HIGH], prompt, num_images_per_prompt=2)
    same(together[2:], draw(several, [LOW, HIGH], prompt, num_images_per_prompt=2))


def test_gradients_reach_every_part_of_every_token(pipe):
    tokens = torch.randn(2, 2, pipe.token_width, requires_grad=True)
    condition = pipe.encode(["a <audio>", "<audio> photo"], [[tokens[0]], [tokens[1]]])
    assert condition.embeddings.shape == (2, 77, pipe.unet.config.cross_attention_dim)
    (gradient,) = torch.autograd.grad(condition.embeddings.square().sum(), tokens)
    assert (gradient != 0).float().mean() > 0.99


def test_a_label_token_is_the_word_itself(pipe):
    label, _ = pipe.classify(HIGH, RATE)[0]
    assert pipe.audio_prompts(HIGH, RATE, "label") == [label]
    (heard,) = pipe.encode_prompts("a photo of <audio> at night", pipe.audio_prompts(HIGH, RATE, "label"))
    (said,) = pipe.encode_prompts(heard.text)
    assert heard.text == {"rain": "a photo of rain at night"}.get(label, f"a photo of a {label} at night")
    torch.testing.assert_close(heard.embeddings, said.embeddings, rtol=0, atol=0)
    assert heard.positions == (find_word_positions(heard.text, label, pipe.tokenizer),)
    together = draw(pipe, [LOW, HIGH], "a photo of <audio> at night", token="label")
    same(together[1:], draw(pipe, None, heard.text))


def test_without_an_embedder_the_label_is_drawn(folder, pipe):
    public = load(folder, audio_encoder=pipe.audio_encoder)
    assert np.array_equal(draw(public, num_inference_steps=1), draw(public, num_inference_steps=1, token="label"))
    result = sound_to_image(HIGH, RATE, public, num_inference_steps=2, guidance_scale=4.0)
    assert result.heard[0][0][0] in result.prompt.text
    assert result.images[0].tobytes() == public(HIGH, rate=RATE, **STEPS).images[0].tobytes()
    assert sound_to_image(HIGH, RATE, pipe, num_inference_steps=1).prompt.text == "a photo of <audio>"
    assert sound_to_image(HIGH, RATE, pipe, num_inference_steps=1, token="label").prompt.text == result.prompt.text
    with pytest.raises(CheckpointError, match="has no audio_embedder"):
        draw(public, token="learned")


def test_a_weight_moves_where_the_sound_stands_and_nothing_else(pipe):
    tokens = pipe.audio_tokens([HIGH, LOW], RATE)
    (plain,), (empty,) = pipe.encode_prompts("<audio> photo <audio>", tokens), pipe.encode_prompts("")
    (one,) = pipe.encode_prompts("(<audio>:1) photo ( <audio> : 1.0 )", tokens)
    torch.testing.assert_close(one.embeddings, plain.embeddings, rtol=0, atol=0)
    (weighed,) = pipe.encode_prompts("(<audio>:0) photo (<audio>:1.5)", tokens)
    assert weighed.positions == plain.positions == ((1,), (3,))
    expected = plain.embeddings.clone()
    expected[:, 1] = empty.embeddings[:, 1]
    expected[:, 3] += 0.5 * (plain.embeddings - empty.embeddings)[:, 3]
    torch.testing.assert_close(weighed.embeddings, expected)
    assert torch.equal(weighed.embeddings[:, 4:], plain.embeddings[:, 4:])
    if plain.pooled is not None:
        assert torch.equal(weighed.pooled, plain.pooled)


def test_a_weight_acts_on_words_too_and_alone_as_in_a_batch(pipe):
    assert (
        np.abs(draw(pipe, token="label", prompt="(<audio>:3)") - draw(pipe, token="label", prompt="<audio>")).max() > 0
    )
    both = draw(pipe, [HIGH, LOW], ["a (<audio>:0.3)", "a <audio> at night"])
    same(both[:1], draw(pipe, HIGH, "a (<audio>:0.3)"))
    same(both[1:], draw(pipe, LOW, "a <audio> at night"))


def test_an_embedder_for_another_model_is_refused_by_name(folder, pipe, kind):
    ears = {"audio_encoder": pipe.audio_encoder, "audio_embedder": debug_embedder(pipe.audio_encoder, width=33)}
    message = rf"Cannot load the model {re.escape(str(folder))}: the audio_embedder does not fit the text encoder"
    with pytest.raises(CheckpointError, match=rf"{message}.* 33 wide, .* reads {sum(WIDTHS[kind])};"):
        AudioTokenPipeline.from_pretrained(folder, **ears)
    with pytest.raises(PromptError, match=rf"is 33 wide, the text encoder reads {sum(WIDTHS[kind])}"):
        pipe.encode(["<audio>"], [[torch.zeros(1, 33)]])


def test_an_embedder_for_another_encoder_is_refused_by_name(folder, kind):
    small, large = debug_encoder(), debug_encoder(width=25)
    embedder = debug_embedder(small, width=sum(WIDTHS[kind]))
    with pytest.raises(CheckpointError, match="does not fit the audio_encoder: it takes features 24 wide, they are 25"):
        AudioTokenPipeline.from_pretrained(folder, audio_encoder=large, audio_embedder=embedder)


CLIP = {"text_encoder": ["transformers", "CLIPTextModel"]}
UNET = {"unet": ["diffusers", "UNet2DConditionModel"]}


def of_transformer(kind: str, text: str = "T5EncoderModel") -> dict[str, list[str]]:
    return {"transformer": ["diffusers", kind], "text_encoder": ["transformers", text]}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("PixArtAlphaPipeline", of_transformer("PixArtTransformer2DModel")),
        ("ChromaImg2ImgPipeline", of_transformer("ChromaTransformer2DModel")),
        ("FluxKontextPipeline", of_transformer("FluxTransformer2DModel", "CLIPTextModel")),
        ("Krea2Pipeline", of_transformer("Krea2Transformer2DModel", "Qwen3VLModel")),
        ("QwenImageEditPipeline", of_transformer("QwenImageTransformer2DModel", "Qwen2_5_VLForConditionalGeneration")),
        ("KolorsPipeline", UNET | {"text_encoder": ["kolors", "ChatGLMModel"]}),
        ("DreamLitePipeline", CLIP | {"unet": ["diffusers", "DreamLiteUNetModel"]}),
        ("AnimateDiffPipeline", CLIP | {"unet": ["diffusers", "UNetMotionModel"]}),
        ("StableCascadeCombinedPipeline", CLIP | {"prior_prior": ["stable_cascade", "StableCascadeUNet"]}),
        ("KandinskyV22Pipeline", UNET),
        ("Flux9Pipeline", {}),
    ],
)
def test_a_model_of_another_family_is_refused_with_what_to_do(name, parts, tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": name} | parts))
    with pytest.raises(CheckpointError, match=f"its class is {name}, which is not supported") as refused:
        AudioTokenPipeline.from_pretrained(tmp_path)
    assert "FLUX.2" in str(refused.value) and "audiotoken layout clip.wav --for FORM" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_model_without_one_of_its_parts_is_refused(folder, tmp_path):
    index = json.loads((folder / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps(index | {"unet": [None, None]}))
    with pytest.raises(CheckpointError, match=rf"it is a {index['_class_name']} without a unet"):
        AudioTokenPipeline.from_pretrained(tmp_path)


def test_debug_pipelines_are_these_models(pipe, kind):
    same(draw(debug_pipeline(kind=kind)), draw(pipe))
