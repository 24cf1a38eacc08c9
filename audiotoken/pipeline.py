"""Stable Diffusion that reads sounds in its prompt (AudioToken, arXiv 2305.13050).

Everything diffusers does for its own pipelines (schedulers, dtypes, offloading, LoRA, slicing) works here too: sounds
only replace input embeddings of the prompt. `SoundToImage` has the steps that all models share; its subclasses have the
parts of a model: `AudioTokenPipeline` those of Stable Diffusion 1 and 2, `pipeline_xl` those of Stable Diffusion XL.
"""

import difflib
import inspect
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.schedulers import KarrasDiffusionSchedulers
from diffusers.utils import scale_lora_layers, unscale_lora_layers
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

import audiotoken
from audiotoken.audio_mixin import AUDIO_PARTS, Audio, AudioMixin, check_fit, float32_audio_parts
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders import AudioEncoder
from audiotoken.errors import PromptError
from audiotoken.labels import insert_articles, insert_words
from audiotoken.loading import explain_load_errors, find_model, prepare_index
from audiotoken.losses import label_embeddings
from audiotoken.options import check_drawing
from audiotoken.placeholder import PLACEHOLDER, TEMPLATE, check_count, check_negative, check_text
from audiotoken.prompt import (
    EncodedPrompts,
    Prompt,
    describe_negative_cut,
    encode_prompts,
    find_cut,
    find_word_positions,
    tokenize_prompt,
)
from audiotoken.watching import describe_rejected, watch_pictures

TextEncoder = tuple[CLIPTokenizer, CLIPTextModel]


class SoundToImage(AudioMixin):
    """Draws pictures from sounds and text; mixed into a diffusers pipeline.

    `default_steps` and `default_guidance` are the values that the checkpoint was tuned for, and `guidance_layers` the
    attention layers whose maps show best where a word is drawn (see `guidance.Guidance`); `model_index.json` has them.
    """

    config: Any
    maybe_convert_prompt: Callable[..., Any]
    encode: Callable[..., EncodedPrompts]  # this and the next are defined by subclasses
    _text_encoders: Any  # each a `TextEncoder`

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike = "mini", **kwargs: Any) -> Any:
        """Load "mini" (part of this package), a folder or a hub id; `kwargs` as in diffusers.

        Returns an AudioTokenPipeline, or the class for SDXL or for a family of transformers. Pass the audio parts as
        `audio_encoder=` and `audio_embedder=` if the model has none. Computes in float32 unless `dtype` is given.
        Raises CheckpointError if the model cannot be loaded or its parts do not fit together.
        """
        folder = find_model(model)
        kwargs["dtype"] = float32_audio_parts(kwargs.pop("torch_dtype", None) or kwargs.get("dtype"))
        with explain_load_errors(model):
            kind = _class_for(cls, prepare_index(cls.load_config(folder, **kwargs)))  # type: ignore[attr-defined]
            return super(SoundToImage, kind).from_pretrained(folder, **kwargs)  # type: ignore[misc]

    @torch.no_grad()
    def __call__(
        self,
        audio: Audio = None,
        prompt: str | list[str] | Prompt | list[Prompt] = TEMPLATE,
        negative_prompt: str | list[str] | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        num_images_per_prompt: int | None = 1,
        seed: int = 0,
        rate: int | None = None,
        token: str | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        prompt_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Draw pictures: `pipe("dog.wav").images[0]`. Other keyword arguments go to the diffusers pipeline.

        The sounds fill the `<audio>` of the prompt in order. A single prompt is repeated until all sounds are used, so
        that a list of recordings with "a photo of <audio>" gives a picture of each. Arrays need their `rate` in Hz.
        `token` is "learned" or "label", see `audio_prompts`. `prompt` may also be the result of `encode_prompts`.
        Picture i of a prompt is drawn with `seed + i`, alone or in a batch; `generator` takes precedence over `seed`.
        """
        check_negative(negative_prompt, kwargs.get("negative_prompt_2"))
        call = super().__call__  # type: ignore[misc]
        num_images_per_prompt = 1 if num_images_per_prompt is None else num_images_per_prompt
        check_call(call, kwargs, seed, num_images_per_prompt, num_inference_steps, guidance_scale)
        if kwargs.get("clip_skip") is not None:
            raise ValueError("clip_skip is not supported: audio tokens are trained for the last layer; leave it out.")
        if prompt_embeds is None:
            with _scale_lora(self._text_encoders, kwargs.get("cross_attention_kwargs")):
                prompts = self._encode_or_check(audio, prompt, rate, token)
            prompt_embeds = torch.cat([each.embeddings for each in prompts])  # (prompts, tokens, features)
            if pooled := [each.pooled for each in prompts if each.pooled is not None]:
                kwargs["pooled_prompt_embeds"] = torch.cat(pooled)
        count = len(prompt_embeds)
        if generator is None:  # on the CPU, so that all devices draw the same picture
            seeds = [seed + i for _ in range(count) for i in range(num_images_per_prompt)]
            generator = [torch.Generator().manual_seed(each) for each in seeds]
        scale = self.config.default_guidance if guidance_scale is None else guidance_scale
        self._warn_of_unread(scale, negative_prompt, kwargs.get("negative_prompt_2"))
        return self._draw(
            call,
            prompt_embeds=prompt_embeds,
            negative_prompt=[negative_prompt] * count if isinstance(negative_prompt, str) else negative_prompt,
            num_inference_steps=self.config.default_steps if num_inference_steps is None else num_inference_steps,
            guidance_scale=scale,
            num_images_per_prompt=num_images_per_prompt,
            generator=generator,
            **kwargs,
        )

    def _reads_negative(self, guidance_scale: float) -> bool:
        """Whether a negative prompt is read, for which classifier-free guidance has to run."""
        return guidance_scale > 1

    def _warn_of_unread(self, scale: float, *negative: str | list[str] | None) -> None:
        """Warn of negative prompts that are not read, or not to their end."""
        sentences = [each for prompts in negative for each in describe_negative_cut(self, prompts)]
        if not self._reads_negative(scale) and any(any(each) for each in negative if each):
            where = f" with a guidance scale of {scale:g}" if self._reads_negative(math.inf) else ""
            sentences.append(f"The negative prompt has no effect on this model{where}.")
        for sentence in dict.fromkeys(sentences):
            warnings.warn(sentence, stacklevel=4)

    def _draw(self, call: Callable[..., Any], **options: Any) -> Any:
        """Call the diffusers pipeline; CheckpointError for NaN, a warning for each picture that is rejected."""
        with watch_pictures(self) as rejected:
            output = call(**options)
        for sentence in describe_rejected(rejected):
            warnings.warn(sentence, stacklevel=5)
        return output

    def _encode_or_check(self, audio: Audio, prompt: Any, rate: int | None, token: str | None) -> list[Prompt]:
        """Encode texts and sounds; prompts that are encoded already pass, if there are no sounds."""
        given: list[Any] = list(prompt) if isinstance(prompt, list | tuple) else [prompt]
        _check_text_in_place_of_sound(audio)
        if not given or not all(isinstance(each, Prompt) for each in given):
            prompts = self.encode_prompts(prompt, None if audio is None else self.audio_prompts(audio, rate, token))
            for sentence in dict.fromkeys(note for each in prompts for note in each.notes):
                warnings.warn(sentence, stacklevel=5)
            return prompts
        if audio is not None:
            raise PromptError("Got a sound with a prompt that is encoded already; leave the sound out, or give a text.")
        return given

    @torch.no_grad()
    def encode_prompts(self, prompt: str | list[str], sounds: Tensor | Sequence[str] | None = None) -> list[Prompt]:
        """Encode texts whose `<audio>` are filled with `sounds`, the result of `audio_prompts`, in order.

        The text of a prompt with label tokens contains the labels: "a photo of a dog".
        """
        texts, dealt = deal_sounds(prompt, [] if sounds is None else list(sounds))  # [text][sound] vectors or a word
        texts = self.maybe_convert_prompt(texts, self._text_encoders[0][0])  # textual inversion
        if any(isinstance(sound, str) for each in dealt for sound in each):
            texts = [insert_articles(text, words) for text, words in zip(texts, dealt, strict=True)]
            shown = [insert_words(text, words) for text, words in zip(texts, dealt, strict=True)]
            dealt = [[self.word_vectors(word) for word in words] for words in dealt]
        else:
            shown = texts
        encoded = self.encode(texts, dealt)
        pooled = encoded.added.get("text_embeds")  # (prompts, features)
        return [
            Prompt(
                encoded.embeddings[i : i + 1],
                at,
                text,
                None if pooled is None else pooled[i : i + 1],
                find_cut(texts[i], self._text_encoders[0][0], [len(each) for each in at]),
            )
            for i, (text, at) in enumerate(zip(shown, encoded.positions, strict=True))
        ]

    def find_cut(self, text: str) -> str:
        """The end of a text without sounds that is beyond what the text encoder reads; empty if all of it is read."""
        return find_cut(text, self._text_encoders[0][0])

    def find_word(self, prompt: Prompt, word: str, nth: int = 0) -> tuple[int, ...]:
        """Tokens of the `nth` (from 0) occurrence of a word, not of a sound whose label is the same word."""
        lengths = [len(at) for at in prompt.positions] if PLACEHOLDER in prompt.text else None
        taken = [at for sound in prompt.positions for at in sound]
        return find_word_positions(prompt.text, word, self._text_encoders[0][0], lengths, nth, taken)

    @torch.no_grad()
    def encode_text_ends(self, texts: Sequence[str], sounds: Sequence[Sequence[Tensor]]) -> Tensor:
        """(texts, width): the text encoder's output at the end token, which attends to the whole text."""
        embeddings = self.encode(texts, sounds).embeddings.float()
        tokenizer = self._text_encoders[0][0]
        ends = [
            tokenize_prompt(text, tokenizer, [len(sound) for sound in each])[0].index(tokenizer.eos_token_id)
            for text, each in zip(texts, sounds, strict=True)
        ]
        return embeddings[torch.arange(len(texts)), torch.tensor(ends)]

    @property
    def token_width(self) -> int:
        """Width of an audio token: the sum of the widths of all text encoders' input embeddings."""
        return sum(_table(text_encoder).embedding_dim for _, text_encoder in self._text_encoders)

    def label_embeddings(self, names: Sequence[str]) -> Tensor:
        """Class names -> (classes, token_width) float32: the mean input embedding of each name's tokens."""
        return torch.cat([label_embeddings(names, *pair) for pair in self._text_encoders], dim=-1)

    @torch.no_grad()
    def word_vectors(self, words: str) -> Tensor:
        """The input embeddings of words, (vectors, token_width), to stand for a sound with this label in a prompt."""
        rows = []
        for tokenizer, text_encoder in self._text_encoders:
            table = _table(text_encoder)  # called, not indexed: an offloaded table moves to its device when it runs
            ids = torch.tensor(tokenizer(words, add_special_tokens=False).input_ids)
            rows.append(table(ids if table.weight.is_meta else ids.to(table.weight.device)))
        return torch.cat(rows, dim=-1)


class AudioTokenPipeline(SoundToImage, StableDiffusionPipeline):
    """Draws sounds with Stable Diffusion 1 or 2."""

    _optional_components: ClassVar = [*StableDiffusionPipeline._optional_components, *AUDIO_PARTS]
    _exclude_from_cpu_offload: ClassVar = [*StableDiffusionPipeline._exclude_from_cpu_offload, *AUDIO_PARTS]

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
        guidance_layers: str | None = None,
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
        own = {"default_steps": default_steps, "default_guidance": default_guidance}
        self.register_to_config(guidance_layers=guidance_layers, **own)
        check_fit(self)

    @property
    def _text_encoders(self) -> tuple[TextEncoder, ...]:
        return ((self.tokenizer, self.text_encoder),)

    def encode(
        self,
        texts: Sequence[str],
        sounds: Sequence[Sequence[Tensor]],
        size: tuple[int, int] | None = None,
        device: torch.device | None = None,
    ) -> EncodedPrompts:
        """Encode texts and their sounds, `sounds[text][i]` (vectors, token_width), for the denoiser; differentiable.

        `size`, (height, width) of the picture in pixels, is not used by these models. device: where the text encoder
        computes; by default it is looked for, which takes milliseconds.
        """
        device = device or self._execution_device
        return EncodedPrompts(*encode_prompts(texts, sounds, self.tokenizer, self.text_encoder, device))


def check_call(
    call: Callable[..., Any],
    keywords: Mapping[str, Any],
    seed: int,
    count: int,
    steps: int | None,
    guidance_scale: float | None,
) -> None:
    """OptionError for numbers that no model can draw with, TypeError for keywords that the pipeline does not have."""
    sides = {name: keywords.get(name) for name in ("height", "width")}
    check_drawing(seed=seed, count=count, num_inference_steps=steps, guidance_scale=guidance_scale, **sides)
    _check_keywords(call, keywords)


def _check_keywords(call: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    """TypeError for a keyword that a diffusers pipeline does not have; it would be ignored."""
    known = inspect.signature(call).parameters
    if unknown := [name for name in keywords if name not in known and name not in ("callback", "callback_steps")]:
        close = difflib.get_close_matches(unknown[0], [*known, "rate", "token", "seed"], 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise TypeError(f"Got an unexpected keyword argument {unknown[0]!r}{hint}")


def _check_text_in_place_of_sound(audio: Audio) -> None:
    """PromptError for words where a sound is expected: diffusers' own pipelines take the prompt first."""
    for each in audio if isinstance(audio, list | tuple) else [audio]:
        if isinstance(each, str) and " " in each.strip() and not Path(each).suffix and not os.path.exists(each):
            raise PromptError(
                f"Got the text {each!r} as a sound, expected a file or an array; pass words as prompt={each!r}."
            )


def _class_for(cls: type, name: str) -> type:
    """`cls` if it fits the kind of the model, otherwise the class that does."""
    fitting: type = getattr(audiotoken, name)
    return cls if issubclass(cls, fitting) else fitting


def _table(text_encoder: Any) -> torch.nn.Embedding:
    return text_encoder.get_input_embeddings()


def deal_sounds(prompt: str | list[str], sounds: list[Any]) -> tuple[list[str], list[list[Any]]]:
    """(texts, the sounds of each); a single text is repeated until all sounds are used."""
    texts = list(prompt) if isinstance(prompt, list | tuple) else [prompt]
    for text in texts:
        check_text(text)
    places = [text.count(PLACEHOLDER) for text in texts]
    if isinstance(prompt, str) and places[0] and sounds and len(sounds) % places[0] == 0:
        texts, places = texts * (len(sounds) // places[0]), places * (len(sounds) // places[0])
    check_count(str(prompt), sum(places), len(sounds))
    left = iter(sounds)
    return texts, [list(islice(left, count)) for count in places]


@contextmanager
def _scale_lora(text_encoders: Sequence[TextEncoder], attention_kwargs: dict[str, Any] | None) -> Iterator[None]:
    """Scale LoRA layers by `cross_attention_kwargs={"scale": ...}`, as diffusers does when it encodes a prompt."""
    scale = (attention_kwargs or {}).get("scale")
    with ExitStack() as put_back:
        for _, text_encoder in text_encoders if scale is not None else ():
            scale_lora_layers(text_encoder, scale)
            put_back.callback(unscale_lora_layers, text_encoder, scale)
        yield
