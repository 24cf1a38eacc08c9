"""The generator: a Stable Diffusion pipeline with ears (AudioToken, arXiv 2305.13050).

Everything diffusers can do to a StableDiffusionPipeline (schedulers, dtypes, offloading, LoRA, slicing) it can do here:
sounds only replace input embeddings of the prompt. The audio parts compute in float32 whatever the rest does, since
they are small and a rounded spectrogram is heard differently.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.schedulers import KarrasDiffusionSchedulers
from diffusers.utils import scale_lora_layers, unscale_lora_layers
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from audiotoken.audio import as_recording, to_mono
from audiotoken.checkpoint import CheckpointError
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders import AudioEncoder
from audiotoken.losses import label_embeddings
from audiotoken.prompt import PLACEHOLDER, TEMPLATE, Condition, Prompt, PromptError, check_count, encode_prompts

MODELS = '"mini", a folder in the diffusers layout or a hub id'
OWN_ENCODERS = tuple(f"audiotoken.encoders.{name}" for name in ("mini", "beats", "ast", "clap"))  # a model may name these
EARS = ("audio_encoder", "audio_embedder")
HEARD = 0.5  # a calibrated score below it means "rather not"

Audio = Any  # a path, an array (frames,) or (channels, frames), or a list of them


class AudioTokenPipeline(StableDiffusionPipeline):
    """Sounds and text -> pictures.

    `default_steps` and `default_guidance` are what the checkpoint was tuned for; they stand in its `model_index.json`.
    """

    _optional_components: ClassVar = [*StableDiffusionPipeline._optional_components, *EARS]
    _exclude_from_cpu_offload: ClassVar = [*StableDiffusionPipeline._exclude_from_cpu_offload, *EARS]

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel,
        scheduler: KarrasDiffusionSchedulers,
        audio_encoder: AudioEncoder | None = None,
        audio_embedder: AudioEmbedder | None = None,
        safety_checker: StableDiffusionSafetyChecker | None = None,
        feature_extractor: CLIPImageProcessor | None = None,
        image_encoder: CLIPVisionModelWithProjection | None = None,
        requires_safety_checker: bool = False,
        default_steps: int = 50,
        default_guidance: float = 7.5,
    ):
        super().__init__(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            safety_checker=safety_checker,
            feature_extractor=feature_extractor,
            image_encoder=image_encoder,
            requires_safety_checker=requires_safety_checker,
        )
        self.register_modules(audio_encoder=audio_encoder, audio_embedder=audio_embedder)
        self.register_to_config(default_steps=default_steps, default_guidance=default_guidance)

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike = "mini", **kwargs: Any) -> "AudioTokenPipeline":
        """`model` is "mini" (ships with this package), a folder or a hub id; `kwargs` as in diffusers.

        Computes in float32 unless `dtype` says otherwise. CheckpointError, one sentence, when it cannot be loaded.
        """
        folder = _find(model)
        kwargs["dtype"] = _float32_ears(kwargs.pop("torch_dtype", None) or kwargs.get("dtype"))
        try:
            library, _ = cls.load_config(folder, **kwargs).get("audio_encoder") or (None, None)
            if library in OWN_ENCODERS:  # diffusers loads classes of modules that are imported, and imports none itself
                import_module(library)
            return super().from_pretrained(folder, **kwargs)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            reason = re.split(r"\.?\n|\. ", str(error).strip())[0].rstrip(".")
            raise CheckpointError(f"Cannot load the model {model}: {reason}; give {MODELS}.") from error

    @torch.no_grad()
    def __call__(
        self,
        audio: Audio = None,
        prompt: str | list[str] = TEMPLATE,
        negative_prompt: str | list[str] | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        num_images_per_prompt: int = 1,
        seed: int = 0,
        rate: int | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        prompt_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Draw: `pipe("dog.wav").images[0]`. What is not listed here is StableDiffusionPipeline's and goes there.

        The sounds fill the `<audio>` of the prompt in order; a prompt given once is used again until they are used up,
        so that a list of recordings with "a photo of <audio>" gives a picture of each. Arrays need their `rate`.
        Picture i of a prompt is drawn with `seed + i`, alone or with others; `generator` is used instead when given.
        """
        _check(negative_prompt, kwargs)
        if prompt_embeds is None:
            with _scaled_lora(self.text_encoder, kwargs.get("cross_attention_kwargs")):
                prompts = self.read(prompt, None if audio is None else self.audio_tokens(audio, rate))
            prompt_embeds = torch.cat([each.embeddings for each in prompts])  # (prompts, tokens, width)
        count = len(prompt_embeds)
        if generator is None:  # on the CPU, so that every device draws the same picture
            seeds = [seed + i for _ in range(count) for i in range(num_images_per_prompt)]
            generator = [torch.Generator().manual_seed(each) for each in seeds]
        return super().__call__(
            prompt_embeds=prompt_embeds,
            negative_prompt=[negative_prompt] * count if isinstance(negative_prompt, str) else negative_prompt,
            num_inference_steps=self.config.default_steps if num_inference_steps is None else num_inference_steps,
            guidance_scale=self.config.default_guidance if guidance_scale is None else guidance_scale,
            num_images_per_prompt=num_images_per_prompt,
            generator=generator,
            **kwargs,
        )

    @torch.no_grad()
    def read(self, prompt: str | list[str], tokens: Tensor | None = None) -> list[Prompt]:
        """Prompts as the text encoder reads them; `tokens` (sounds, vectors, width) fill their `<audio>` in order."""
        texts, counts = _deal(prompt, 0 if tokens is None else len(tokens))
        sounds = iter(() if tokens is None else tokens.unbind())
        dealt = [list(islice(sounds, count)) for count in counts]  # [text][sound] (vectors, width)
        texts = self.maybe_convert_prompt(texts, self.tokenizer)  # textual inversion
        condition = self.encode(texts, dealt)
        return [Prompt(condition.embeddings[i : i + 1], condition.positions[i], text) for i, text in enumerate(texts)]

    def encode(
        self, texts: Sequence[str], sounds: Sequence[Sequence[Tensor]], size: tuple[int, int] | None = None
    ) -> Condition:
        """Texts and their sounds, `sounds[text][i]` (vectors, token_width), as the denoiser wants them; differentiable.

        `size` is (height, width) of the picture in pixels; Stable Diffusion 1 and 2 need not know.
        """
        device = self._execution_device
        return Condition(*encode_prompts(texts, sounds, self.tokenizer, self.text_encoder, device))

    @property
    def token_width(self) -> int:
        """Of an audio token: the width of the text encoder's input embeddings."""
        return self.text_encoder.get_input_embeddings().weight.shape[1]

    def label_embeddings(self, names: Sequence[str]) -> Tensor:
        """Names of classes -> (classes, token_width) float32: the mean of the input embeddings of each name's words."""
        return label_embeddings(names, self.tokenizer, self.text_encoder)

    @torch.no_grad()
    def audio_tokens(self, audio: Audio, rate: int | None = None) -> Tensor:
        """The words that stand for the sounds: (batch, tokens per sound, width of the text encoder), float32."""
        self._check_ears("audio_embedder")
        return torch.cat([self.audio_embedder(self.audio_encoder.features(w)) for w in self._waveforms(audio, rate)])

    @torch.no_grad()
    def hear(self, audio: Audio, rate: int | None = None) -> list[tuple[str, float]]:
        """What one recording sounds like: (label, score in [0, 1]), best first; empty if the encoder has no classes."""
        self._check_ears("audio_encoder")
        (waveform,) = self._waveforms([audio], rate)
        if not self.audio_encoder.labels:
            return []
        scores = self.audio_encoder.probabilities(waveform)[0].tolist()
        return sorted(zip(self.audio_encoder.labels, scores, strict=True), key=lambda heard: -heard[1])

    def to(self, *args: Any, dtype: torch.dtype | None = None, **kwargs: Any) -> "AudioTokenPipeline":
        """As in diffusers; the audio parts go to the device, but stay in float32."""
        dtype = next((each for each in args if isinstance(each, torch.dtype)), dtype)
        super().to(*(each for each in args if not isinstance(each, torch.dtype)), **kwargs)
        for name, part in self.components.items():
            if dtype is not None and isinstance(part, torch.nn.Module) and name not in EARS:
                part.to(dtype)
        return self

    @property
    def dtype(self) -> torch.dtype:
        """Of the denoiser; the audio parts are float32 always."""
        return self.unet.dtype

    def _waveforms(self, audio: Audio, rate: int | None) -> list[Tensor]:
        """One (1, frames) each, mono, at the encoder's rate, on its device: encoded singly, no clip hears another."""
        recordings = audio if isinstance(audio, list | tuple) else [audio]
        if not recordings:
            raise PromptError("Got an empty list of sounds, want one or more; without a sound leave it out.")
        wanted = self.audio_encoder.rate
        signals = [to_mono(as_recording(each, rate, resample_to=wanted)[0]) for each in recordings]
        return [torch.from_numpy(signal)[None].to(self.audio_encoder.device) for signal in signals]

    def _check_ears(self, part: str) -> None:
        if self.audio_encoder is None or getattr(self, part) is None:
            raise CheckpointError(
                f"This pipeline has no {part}, so it cannot hear: load a model that has one, "
                "or give it as AudioTokenPipeline.from_pretrained(model, audio_encoder=..., audio_embedder=...)."
            )


def say_heard(heard: Sequence[tuple[str, float]], most: int = 3) -> str:
    """In words: "dog 0.98, bird 0.61", or that it is none of the sounds the encoder knows."""
    if not heard:
        return "the audio encoder names no sounds"
    known = [f"{label} {score:.2f}" for label, score in heard[:most] if score >= HEARD]
    return ", ".join(known) or f"none of the sounds I know (nearest: {heard[0][0]} {heard[0][1]:.2f})"


def _find(model: str | os.PathLike) -> str:
    """The folder of `model`, or the hub id it is."""
    folder = Path(str(files("audiotoken.mini"))) if str(model) == "mini" else Path(model).expanduser()
    if (folder / "model_index.json").is_file():
        return str(folder)
    if str(model) == "mini":
        raise CheckpointError("The mini checkpoint is not in this installation; get it whole, or train it: make mini.")
    if folder.exists() or str(model).count("/") != 1 or str(model)[0] in "./~":
        what = "it holds no model_index.json" if folder.exists() else "there is no such folder"
        raise CheckpointError(f"Cannot load the model {model}: {what}; give {MODELS}.")
    return str(model)


def _float32_ears(dtype: Any) -> dict[str, torch.dtype]:
    """One dtype, or one per part, as diffusers takes them; float32 for the audio parts."""
    parts = dtype if isinstance(dtype, dict) else {"default": dtype or torch.float32}
    return parts | dict.fromkeys(EARS, torch.float32)


def _deal(prompt: str | list[str], sounds: int) -> tuple[list[str], list[int]]:
    """Texts, and how many of the sounds go into each; a single text is repeated until the sounds are used up."""
    texts = [prompt] if isinstance(prompt, str) else list(prompt)
    places = [text.count(PLACEHOLDER) for text in texts]
    if isinstance(prompt, str) and places[0] and sounds and sounds % places[0] == 0:
        return texts * (sounds // places[0]), places * (sounds // places[0])
    check_count(str(prompt), sum(places), sounds)
    return texts, places


def _check(negative_prompt: str | list[str] | None, kwargs: dict[str, Any]) -> None:
    if PLACEHOLDER in str(negative_prompt):
        raise PromptError(f"The negative prompt has {PLACEHOLDER} in it, but it takes words only: name what to avoid.")
    if kwargs.get("clip_skip") is not None:
        raise ValueError("clip_skip is not supported: audio tokens are trained for the last layer; leave it out.")


@contextmanager
def _scaled_lora(text_encoder: Any, attention_kwargs: dict[str, Any] | None) -> Iterator[None]:
    """LoRA layers at the strength of `cross_attention_kwargs={"scale": ...}`, as diffusers encodes a prompt."""
    scale = (attention_kwargs or {}).get("scale")
    if scale is None:
        yield
        return
    scale_lora_layers(text_encoder, scale)
    try:
        yield
    finally:
        unscale_lora_layers(text_encoder, scale)
