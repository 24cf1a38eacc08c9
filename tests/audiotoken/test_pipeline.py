"""The pipeline on tiny random parts: equivalences, diffusers' switches, and what it says when something is wrong."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from diffusers import DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, StableDiffusionPipeline
from peft import LoraConfig, get_peft_model_state_dict

from audiotoken.debug import WIDTH, debug_pipeline
from audiotoken.errors import AudioError, CheckpointError, PromptError
from audiotoken.labels import format_labels
from audiotoken.pipeline import AudioTokenPipeline

RATE = 16_000


def chirp(low: float, high: float, seconds: float, rate: int = RATE) -> np.ndarray:
    """(frames,) float32; glides, so that no two moments are alike."""
    time = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * (low * time + (high - low) * time**2 / (2 * seconds)))).astype(np.float32)


HIGH, LOW = chirp(2000, 5000, 0.7), chirp(90, 300, 1.1)


@pytest.fixture(scope="module")
def pipe():
    return debug_pipeline()


@pytest.fixture
def fresh():
    return debug_pipeline()


@pytest.fixture(scope="module")
def folder(pipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    pipe.save_pretrained(folder)
    return folder


def draw(pipe, audio=HIGH, **kwargs):
    """(pictures, height, width, 3) in [0, 1]."""
    return pipe(audio, rate=None if audio is None else RATE, output_type="np", **kwargs).images


def same(one, other):
    """Equal up to the rounding of another batch size."""
    np.testing.assert_allclose(one, other, atol=2e-4)


def test_a_seed_is_a_picture(pipe):
    assert draw(pipe).shape == (1, 32, 32, 3)
    assert np.array_equal(draw(pipe, seed=5), draw(pipe, seed=5))
    assert np.abs(draw(pipe, seed=5) - draw(pipe, seed=6)).mean() > 0.01


def test_the_sound_is_in_the_picture(pipe):
    assert np.abs(draw(pipe, HIGH) - draw(pipe, LOW)).mean() > 1e-3


def test_a_batch_of_two_equals_two_singles(pipe):
    together = draw(pipe, [HIGH, LOW], seed=3, negative_prompt="dull")
    same(together[:1], draw(pipe, HIGH, seed=3, negative_prompt="dull"))
    same(together[1:], draw(pipe, LOW, seed=3, negative_prompt="dull"))


def test_picture_i_of_several_is_that_of_seed_plus_i(pipe):
    several = draw(pipe, [HIGH, LOW], seed=10, num_images_per_prompt=3)
    for i in range(3):
        same(several[i : i + 1], draw(pipe, HIGH, seed=10 + i))
        same(several[3 + i : 4 + i], draw(pipe, LOW, seed=10 + i))


def test_without_a_sound_it_is_stable_diffusion_bit_for_bit(pipe):
    parts = {name: part for name, part in pipe.components.items() if not name.startswith("audio")}
    plain = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    plain.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 3, "guidance_scale": 5.0, "negative_prompt": "a cat", "output_type": "np"}
    expected = plain("a photo of a dog", generator=torch.Generator().manual_seed(4), **options).images
    assert np.array_equal(pipe(None, "a photo of a dog", seed=4, **options).images, expected)


def test_a_file_is_the_array_in_it(pipe, tmp_path):
    soundfile.write(tmp_path / "clip.wav", HIGH, RATE, subtype="FLOAT")
    assert np.array_equal(pipe(tmp_path / "clip.wav", output_type="np").images, draw(pipe))
    assert np.array_equal(pipe(str(tmp_path / "clip.wav"), output_type="np").images, draw(pipe))


def test_several_sounds_in_one_prompt(pipe):
    prompt = "<audio> beside <audio>"
    both = draw(pipe, [HIGH, LOW], prompt=prompt)
    assert both.shape[0] == 1
    assert np.abs(both - draw(pipe, [LOW, HIGH], prompt=prompt)).mean() > 1e-4
    assert draw(pipe, [HIGH, LOW, LOW, HIGH], prompt=prompt).shape[0] == 2
    mixed = draw(pipe, [HIGH, LOW, LOW], prompt=["<audio>", prompt])
    same(mixed[1:], draw(pipe, [LOW, LOW], prompt=prompt))


def test_audio_tokens_are_words(pipe):
    tokens = pipe.audio_tokens([HIGH, LOW], RATE)
    assert tokens.shape == (2, 1, WIDTH) and tokens.dtype == torch.float32
    torch.testing.assert_close(tokens[1:], pipe.audio_tokens(LOW, RATE), rtol=0, atol=0)
    prompt = pipe.encode_prompts("photo <audio>", tokens[:1])[0]
    assert prompt.embeddings.shape == (1, 77, WIDTH) and prompt.positions == ((2,),)


def test_what_was_heard(pipe):
    heard = pipe.classify(HIGH, RATE)
    scores = [score for _, score in heard]
    assert sorted(label for label, _ in heard) == ["bell", "dog", "rain"]
    assert scores == sorted(scores, reverse=True) and 0 <= scores[-1] <= scores[0] <= 1


def test_heard_in_words():
    assert format_labels([("dog", 0.9), ("bell", 0.5), ("rain", 0.2)]) == "dog 0.90, bell 0.50"
    assert format_labels([("dog", 0.49), ("bell", 0.2)]) == "no known sound (nearest: dog 0.49)"
    assert "no labels" in format_labels([])


def test_saved_and_loaded_it_draws_the_same(pipe, folder):
    loaded = AudioTokenPipeline.from_pretrained(folder)
    loaded.set_progress_bar_config(disable=True)
    assert np.array_equal(draw(loaded), draw(pipe))
    assert (loaded.config.default_steps, loaded.config.default_guidance) == (4, 3.0)
    index = json.loads((folder / "model_index.json").read_text())
    assert index["audio_encoder"] == ["audiotoken.encoders.mini", "MiniEncoder"]
    assert index["audio_embedder"] == ["audiotoken.embedder", "AudioEmbedder"]


def test_the_folder_s_steps_are_used_unless_said_otherwise(pipe):
    seen = []

    def count(pipe, step, timestep, tensors):
        seen.append(step)
        return tensors

    draw(pipe, callback_on_step_end=count)
    assert len(seen) == 4
    draw(pipe, callback_on_step_end=count, num_inference_steps=2)
    assert len(seen) == 4 + 2


def test_half_precision_leaves_the_ears_whole(folder, pipe):
    half = AudioTokenPipeline.from_pretrained(folder, dtype=torch.bfloat16)
    half.set_progress_bar_config(disable=True)
    assert half.unet.dtype == half.text_encoder.dtype == half.vae.dtype == half.dtype == torch.bfloat16
    assert torch.equal(half.audio_tokens(HIGH, RATE), pipe.audio_tokens(HIGH, RATE))
    assert np.isfinite(draw(half)).all()


def test_cast_later_the_ears_are_not_even_rounded(fresh):
    tokens = fresh.audio_tokens(HIGH, RATE)
    assert fresh.to("cpu", torch.bfloat16) is fresh
    assert fresh.unet.dtype == torch.bfloat16
    assert torch.equal(fresh.audio_tokens(HIGH, RATE), tokens)
    assert np.isfinite(draw(fresh)).all()


@pytest.mark.parametrize("scheduler", [DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler])
def test_other_schedulers(fresh, scheduler):
    fresh.scheduler = scheduler.from_config(fresh.scheduler.config)
    assert np.array_equal(draw(fresh), draw(fresh))
    same(draw(fresh, seed=1, num_images_per_prompt=2)[1:], draw(fresh, seed=2))


def test_offloading_draws_the_same(pipe, fresh):
    fresh.enable_model_cpu_offload(device="cpu")
    assert np.array_equal(draw(fresh), draw(pipe))
    assert fresh.classify(HIGH, RATE) == pipe.classify(HIGH, RATE)


def test_slicing_draws_the_same(pipe, fresh):
    fresh.enable_attention_slicing()
    fresh.vae.enable_slicing()
    same(draw(fresh, [HIGH, LOW]), draw(pipe, [HIGH, LOW]))


def test_a_lora_loads_acts_and_leaves(pipe, fresh, tmp_path):
    donor = debug_pipeline()
    for part in (donor.unet, donor.text_encoder):
        targets = ["to_q", "to_v"] if part is donor.unet else ["q_proj", "v_proj"]
        part.add_adapter(LoraConfig(r=2, target_modules=targets, init_lora_weights=False))
    StableDiffusionPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers=get_peft_model_state_dict(donor.unet),
        text_encoder_lora_layers=get_peft_model_state_dict(donor.text_encoder),
    )
    fresh.load_lora_weights(tmp_path)
    assert np.abs(draw(fresh) - draw(pipe)).mean() > 1e-3
    same(draw(fresh, cross_attention_kwargs={"scale": 0.0}), draw(pipe))
    fresh.unload_lora_weights()
    same(draw(fresh), draw(pipe))


def test_any_stable_diffusion_pipeline_can_be_given_ears(pipe):
    parts = {name: part for name, part in pipe.components.items() if not name.startswith("audio")}
    plain = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    ears = {"audio_encoder": pipe.audio_encoder, "audio_embedder": pipe.audio_embedder}
    hearing = AudioTokenPipeline.from_pipe(plain, **ears)
    hearing.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 4, "guidance_scale": 3.0}
    assert np.array_equal(draw(hearing, **options), draw(pipe, **options))


def test_a_folder_without_ears_is_given_some(pipe, tmp_path):
    parts = {name: part for name, part in pipe.components.items() if not name.startswith("audio")}
    AudioTokenPipeline(**parts, default_steps=4, default_guidance=3.0).save_pretrained(tmp_path)
    ears = {"audio_encoder": pipe.audio_encoder, "audio_embedder": pipe.audio_embedder}
    hearing = AudioTokenPipeline.from_pretrained(tmp_path, **ears)
    hearing.set_progress_bar_config(disable=True)
    assert np.array_equal(draw(hearing), draw(pipe))


def test_without_an_encoder_it_reads_text_only(pipe, tmp_path):
    parts = {name: part for name, part in pipe.components.items() if not name.startswith("audio")}
    AudioTokenPipeline(**parts).save_pretrained(tmp_path)
    deaf = AudioTokenPipeline.from_pretrained(tmp_path)
    deaf.set_progress_bar_config(disable=True)
    assert np.array_equal(
        draw(deaf, None, prompt="a cat", num_inference_steps=2),
        draw(pipe, None, prompt="a cat", num_inference_steps=2, guidance_scale=7.5),
    )
    with pytest.raises(CheckpointError, match="has no audio_embedder, so it cannot read sounds"):
        draw(deaf)


@pytest.mark.parametrize(
    ("audio", "prompt", "message"),
    [
        (HIGH, "a dog", "has no <audio> but got 1 sound"),
        (None, "a photo of <audio>", "has 1 <audio> but got 0 sounds"),
        ([HIGH, LOW, LOW], "<audio> and <audio>", "has 2 <audio> but got 3 sounds"),
        ([HIGH], ["<audio>", "<audio>"], "has 2 <audio> but got 1 sound"),
    ],
)
def test_as_many_sounds_as_places(pipe, audio, prompt, message):
    with pytest.raises(PromptError, match=message):
        draw(pipe, audio, prompt=prompt)


def test_what_cannot_be_done_is_said(pipe):
    with pytest.raises(PromptError, match="negative prompt contains <audio>"):
        draw(pipe, negative_prompt="no <audio>")
    with pytest.raises(ValueError, match="clip_skip is not supported"):
        draw(pipe, clip_skip=1)
    with pytest.raises(AudioError, match="pass rate="):
        pipe(HIGH)
    with pytest.raises(PromptError, match="empty list of sounds"):
        pipe([], rate=RATE)
    with pytest.raises(PromptError, match="empty list of texts"):
        pipe(prompt=[])
    with pytest.raises(PromptError, match="Got token='spoken', expected one of learned, label"):
        draw(pipe, token="spoken")
    with pytest.raises(PromptError, match=r"Got '\(<audio>:loud\)' in the prompt"):
        draw(pipe, prompt="a (<audio>:loud)", token="label")


def test_labels_need_an_encoder_with_names(fresh):
    fresh.audio_encoder.register_to_config(labels=())
    assert fresh.classify(HIGH, RATE) == [] and np.isfinite(draw(fresh)).all()
    with pytest.raises(CheckpointError, match="audio encoder has no class names"):
        draw(fresh, token="label")


def test_labels_may_name_nothing_to_draw(fresh):
    fresh.audio_encoder.register_to_config(labels=("Echo", "Silence", "Reverberation"))
    with pytest.raises(PromptError, match="none of the encoder's 3 labels names something that can be drawn"):
        draw(fresh, token="label")


def _no_index(folder):
    (folder / "model_index.json").unlink()


def _not_json(folder):
    (folder / "model_index.json").write_text("{")


def _no_weights(folder):
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()


def _cut_weights(folder):
    file = folder / "audio_encoder" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def _foreign_code(folder):
    index = json.loads((folder / "model_index.json").read_text())
    index["audio_encoder"] = ["antigravity", "fly"]  # a module that acts when it is imported
    (folder / "model_index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("damage", [shutil.rmtree, _no_index, _not_json, _no_weights, _cut_weights, _foreign_code])
def test_a_damaged_model_is_refused_in_one_sentence(folder, tmp_path, damage):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    damage(copy)
    with pytest.raises(CheckpointError, match=r"^Cannot load the model .*; give \"mini\"[^\n]*$"):
        AudioTokenPipeline.from_pretrained(copy)
