"""Transformers that read sounds in their prompt: Stable Diffusion 3, FLUX.1, FLUX.2 Klein, Qwen-Image, Z-Image.

Labels become words of the prompt, which needs no training. Learned tokens replace input embeddings of all of a model's
text encoders, as for Stable Diffusion; an embedder has to be trained for the model. Texts go through the diffusers
pipeline's own `encode_prompt`.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers import (
    Flux2KleinPipeline,
    FluxPipeline,
    QwenImagePipeline,
    StableDiffusion3Pipeline,
    ZImagePipeline,
)
from torch import Tensor

from audiotoken.audio_mixin import AUDIO_PARTS
from audiotoken.errors import CheckpointError, PromptError
from audiotoken.joint_text import TextReader, fill_sounds, find_span, make_filler, read_sounds
from audiotoken.labels import insert_articles
from audiotoken.pipeline import SoundToImage, check_call, deal_sounds
from audiotoken.placeholder import PLACEHOLDER
from audiotoken.prompt import EncodedPrompts, Positions, Prompt
from audiotoken.whole_words import find_whole_words


class JointSoundToImage(SoundToImage):
    """The steps that transformers share; subclasses say how their family reads a text and is called."""

    _readers: Any  # of the subclass: a tuple of `TextReader`
    default_words = 512  # tokens of a prompt

    @property
    def _words(self) -> int:
        """Tokens of a prompt that the largest text encoder reads."""
        return int(self.config.get("max_sequence_length", self.default_words))

    @property
    def _text_encoders(self) -> tuple[tuple[Any, Any], ...]:
        return tuple((reader.tokenizer, reader.encoder) for reader in self._readers)

    def _add_audio(self, audio_encoder: Any, audio_embedder: Any, **config: Any) -> None:
        """Register the audio parts and check that they fit."""
        self.register_modules(audio_encoder=audio_encoder, audio_embedder=audio_embedder)  # type: ignore[attr-defined]
        self.register_to_config(**config)  # type: ignore[attr-defined]
        if audio_embedder is not None and audio_embedder.config["output_size"] != self.token_width:
            raise CheckpointError(
                f"The audio_embedder does not fit the text encoders: its tokens are "
                f"{audio_embedder.config['output_size']} wide, they read {self.token_width}; use an embedder made for "
                "this model."
            )

    @torch.no_grad()
    def encode_prompts(self, prompt: str | list[str], sounds: Tensor | Sequence[str] | None = None) -> list[Prompt]:
        """Encode texts whose `<audio>` are filled with `sounds`, words or vectors, in order; see `SoundToImage`."""
        texts, dealt = deal_sounds(prompt, [] if sounds is None else list(sounds))
        return [self._encode_one(text, each)[0] for text, each in zip(texts, dealt, strict=True)]

    def encode(
        self,
        texts: Sequence[str],
        sounds: Sequence[Sequence[Any]],
        size: tuple[int, int] | None = None,
        device: torch.device | None = None,
    ) -> EncodedPrompts:
        """Encode texts and their sounds, words or `sounds[text][i]` (vectors, token_width); differentiable.

        Rows are padded with zeros to one length; `added` has the `mask` of tokens then, and `pooled` features. `size`
        and `device` are not used: these models need no size, and diffusers looks for the device by itself.
        """
        prompts = [self._encode_one(text, each)[0] for text, each in zip(texts, sounds, strict=True)]
        rows, mask = _pad(prompts)
        added = {}
        if prompts[0].pooled is not None:
            added["pooled"] = torch.cat([prompt.pooled for prompt in prompts if prompt.pooled is not None])
        if not mask.all():
            added["mask"] = mask
        return EncodedPrompts(rows, [prompt.positions for prompt in prompts], added)

    def _encode_one(self, text: str, sounds: Sequence[Any]) -> tuple[Prompt, list[tuple[int, int]]]:
        """(the encoded text, where its sounds stand in `.text`, in characters)."""
        spoken = all(isinstance(sound, str) for sound in sounds)
        if spoken and sounds:
            text, fillers = insert_articles(text, sounds), list(sounds)
        else:
            sounds = [sound if sound.ndim == 2 else sound[None] for sound in sounds]
            fillers = [make_filler(self._readers, len(sound)) for sound in sounds]
        filled, spans = fill_sounds(text, fillers)
        readers = self._readers
        positions: Positions = tuple(find_span(readers, filled, span) for span in spans)
        with read_sounds(readers, filled, spans if not spoken else (), sounds if not spoken else ()):
            embeddings, pooled = self._encode_text(filled)
        return Prompt(embeddings, positions, filled if spoken else text, pooled, self.find_cut(filled)), spans

    def find_cut(self, text: str) -> str:
        """The end of a text that one of the encoders the denoiser attends to does not read; empty if all is read."""
        return max((each.find_cut(text) for each in self._readers if each.start is not None), key=len, default="")

    def find_word(self, prompt: Prompt, word: str, nth: int = 0) -> tuple[int, ...]:
        """Positions of the `nth` (from 0) occurrence of a word that is not a sound's. PromptError without one."""
        lengths = [len(at) // max(1, sum(r.start is not None for r in self._readers)) for at in prompt.positions]
        learned = PLACEHOLDER in prompt.text
        fillers = [make_filler(self._readers, length) for length in lengths] if learned else []
        filled, _ = fill_sounds(prompt.text, fillers)
        taken = {at for sound in prompt.positions for at in sound}
        for span in find_whole_words(filled, word):
            found = find_span(self._readers, filled, span)
            if taken.isdisjoint(found) and nth == 0:
                return found
            nth -= taken.isdisjoint(found)
        raise PromptError(f"The prompt {prompt.text!r} does not contain {word!r}; use a word of the prompt.")

    @torch.no_grad()
    def encode_text_ends(self, texts: Sequence[str], sounds: Sequence[Sequence[Any]]) -> Tensor:
        """(texts, width): the mean over the tokens of each text, which have read one another."""
        rows = []
        for text, each in zip(texts, sounds, strict=True):
            prompt, _ = self._encode_one(text, each)
            filled, _ = fill_sounds(text, [make_filler(self._readers, len(sound)) for sound in each])
            where = [at for at in find_span(self._readers, filled, (0, len(filled))) if at < prompt.embeddings.shape[1]]
            rows.append(prompt.embeddings[0, where].float().mean(0))
        return torch.stack(rows)

    def _encode_text(self, text: str) -> tuple[Tensor, Tensor | None]:
        """(embeddings (1, tokens, width), pooled (1, features) or None), by the pipeline's `encode_prompt`."""
        raise NotImplementedError

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        """Keyword arguments of the diffusers pipeline for these prompts."""
        raise NotImplementedError

    @torch.no_grad()
    def __call__(
        self,
        audio: Any = None,
        prompt: Any = "a photo of <audio>",
        negative_prompt: str | list[str] | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        num_images_per_prompt: int | None = 1,
        seed: int = 0,
        rate: int | None = None,
        token: str | None = None,
        generator: Any = None,
        prompt_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Draw pictures, as `SoundToImage` does; other keyword arguments go to the diffusers pipeline."""
        if prompt_embeds is not None:
            raise PromptError("Got prompt_embeds, expected a prompt; pass the result of encode_prompts as prompt=.")
        call = super(SoundToImage, self).__call__  # type: ignore[misc]
        num_images_per_prompt = 1 if num_images_per_prompt is None else num_images_per_prompt
        check_call(call, kwargs, seed, num_images_per_prompt, num_inference_steps, guidance_scale)
        prompts = self._encode_or_check(audio, prompt, rate, token)
        prompts = [each for each in prompts for _ in range(num_images_per_prompt)]
        if generator is None:
            seeds = [seed + i % num_images_per_prompt for i in range(len(prompts))]
            generator = [torch.Generator().manual_seed(each) for each in seeds]
        negative = [negative_prompt] * len(prompts) if isinstance(negative_prompt, str) else negative_prompt
        steps = self.config.default_steps if num_inference_steps is None else num_inference_steps
        scale = self.config.default_guidance if guidance_scale is None else guidance_scale
        options = self._call_options(prompts, negative, scale)
        self._warn_of_cut(negative_prompt)
        return self._draw(call, num_inference_steps=steps, generator=generator, **options, **kwargs)


def _pad(prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
    """(embeddings (texts, tokens, width), padded with zeros to one length; which are tokens, (texts, tokens) bool)."""
    lengths = torch.tensor([prompt.embeddings.shape[1] for prompt in prompts])
    rows = torch.nn.utils.rnn.pad_sequence([prompt.embeddings[0] for prompt in prompts], batch_first=True)
    return rows, (torch.arange(rows.shape[1])[None] < lengths[:, None]).to(rows.device)


def _stack(prompts: Sequence[Prompt]) -> dict[str, Tensor]:
    stacked = {"prompt_embeds": torch.cat([prompt.embeddings for prompt in prompts])}
    if prompts[0].pooled is not None:
        stacked["pooled_prompt_embeds"] = torch.cat([p.pooled for p in prompts if p.pooled is not None])
    return stacked


class AudioTokenSD3Pipeline(JointSoundToImage, StableDiffusion3Pipeline):
    """Draws sounds with Stable Diffusion 3 and 3.5, with or without T5, the third text encoder.

    max_sequence_length: words for T5; without T5, as many empty ones. 0 where a model was trained without any.
    """

    _optional_components: ClassVar = [
        *StableDiffusion3Pipeline._optional_components,
        *("text_encoder_3", "tokenizer_3"),
        *AUDIO_PARTS,
    ]
    _exclude_from_cpu_offload: ClassVar = [*StableDiffusion3Pipeline._exclude_from_cpu_offload, *AUDIO_PARTS]

    def __init__(
        self,
        transformer: Any,
        scheduler: Any,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        text_encoder_2: Any,
        tokenizer_2: Any,
        text_encoder_3: Any = None,
        tokenizer_3: Any = None,
        image_encoder: Any = None,
        feature_extractor: Any = None,
        audio_encoder: Any = None,
        audio_embedder: Any = None,
        default_steps: int = 28,
        default_guidance: float = 7.0,
        max_sequence_length: int = 256,
    ):
        super().__init__(
            transformer=transformer,
            scheduler=scheduler,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            text_encoder_2=text_encoder_2,
            tokenizer_2=tokenizer_2,
            text_encoder_3=text_encoder_3,
            tokenizer_3=tokenizer_3,
            image_encoder=image_encoder,
            feature_extractor=feature_extractor,
        )
        self._add_audio(
            audio_encoder,
            audio_embedder,
            default_steps=default_steps,
            default_guidance=default_guidance,
            max_sequence_length=max_sequence_length,
        )

    @property
    def _readers(self) -> tuple[TextReader, ...]:
        clip = self.tokenizer_max_length
        first = TextReader(self.tokenizer, self.text_encoder, clip)
        readers = [first]
        if self.text_encoder_2 is not self.text_encoder:  # two tokens side by side
            readers.append(TextReader(self.tokenizer_2, self.text_encoder_2, clip, None))
        if self.text_encoder_3 is not None and self._words:
            readers.append(TextReader(self.tokenizer_3, self.text_encoder_3, self._words, clip))
        return tuple(readers)

    def _encode_text(self, text: str) -> tuple[Tensor, Tensor | None]:
        options = {"do_classifier_free_guidance": False, "max_sequence_length": self._words}
        embeddings, _, pooled, _ = self.encode_prompt(text, None, None, **options)
        return embeddings, pooled

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        shared = {"negative_prompt": negative, "guidance_scale": scale, "max_sequence_length": self._words}
        return _stack(prompts) | shared


class AudioTokenFluxPipeline(JointSoundToImage, FluxPipeline):
    """Draws sounds with FLUX.1."""

    _optional_components: ClassVar = [*FluxPipeline._optional_components, *AUDIO_PARTS]
    _exclude_from_cpu_offload: ClassVar = [*FluxPipeline._exclude_from_cpu_offload, *AUDIO_PARTS]

    def __init__(
        self,
        scheduler: Any,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        text_encoder_2: Any,
        tokenizer_2: Any,
        transformer: Any,
        image_encoder: Any = None,
        feature_extractor: Any = None,
        audio_encoder: Any = None,
        audio_embedder: Any = None,
        default_steps: int | None = None,
        default_guidance: float | None = None,
    ):
        own = scheduler, vae, text_encoder, tokenizer, text_encoder_2, tokenizer_2, transformer
        super().__init__(*own, image_encoder, feature_extractor)
        steps, scale = (28, 3.5) if transformer is None or transformer.config.guidance_embeds else (4, 1.0)
        self._add_audio(
            audio_encoder,
            audio_embedder,
            default_steps=default_steps or steps,
            default_guidance=scale if default_guidance is None else default_guidance,
        )

    @property
    def _readers(self) -> tuple[TextReader, ...]:
        clip = TextReader(self.tokenizer, self.text_encoder, self.tokenizer_max_length, None)
        return clip, TextReader(self.tokenizer_2, self.text_encoder_2, self._words)

    def _encode_text(self, text: str) -> tuple[Tensor, Tensor | None]:
        embeddings, pooled, _ = self.encode_prompt(text, max_sequence_length=self._words)
        return embeddings, pooled

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        options: dict[str, Any] = _stack(prompts) | {"guidance_scale": scale, "max_sequence_length": self._words}
        if negative is not None and scale > 1:
            options |= {"guidance_scale": 1.0, "true_cfg_scale": scale, "negative_prompt": negative}
        return options


class AudioTokenFlux2Pipeline(JointSoundToImage, Flux2KleinPipeline):
    """Draws sounds with FLUX.2 Klein."""

    _optional_components: ClassVar = [*Flux2KleinPipeline._optional_components, *AUDIO_PARTS]
    _exclude_from_cpu_offload: ClassVar = [*Flux2KleinPipeline._exclude_from_cpu_offload, *AUDIO_PARTS]

    def __init__(
        self,
        scheduler: Any,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        transformer: Any,
        audio_encoder: Any = None,
        audio_embedder: Any = None,
        is_distilled: bool = False,
        default_steps: int | None = None,
        default_guidance: float | None = None,
    ):
        super().__init__(scheduler, vae, text_encoder, tokenizer, transformer, is_distilled)
        steps, scale = (4, 1.0) if is_distilled else (50, 4.0)
        self._add_audio(
            audio_encoder,
            audio_embedder,
            default_steps=default_steps or steps,
            default_guidance=scale if default_guidance is None else default_guidance,
        )

    @property
    def _readers(self) -> tuple[TextReader, ...]:
        return (TextReader(self.tokenizer, self.text_encoder, self._words, template=chat(self.tokenizer, False)),)

    def _encode_text(self, text: str) -> tuple[Tensor, Tensor | None]:
        return self.encode_prompt(text, max_sequence_length=self._words)[0], None

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        options: dict[str, Any] = _stack(prompts) | {"guidance_scale": scale, "max_sequence_length": self._words}
        if scale > 1 and not self.config.is_distilled:
            rows = [self._encode_text(text)[0] for text in negative or [""] * len(prompts)]
            options["negative_prompt_embeds"] = torch.cat(rows)
        return options


class AudioTokenQwenImagePipeline(JointSoundToImage, QwenImagePipeline):
    """Draws sounds with Qwen-Image."""

    _optional_components: ClassVar = [*QwenImagePipeline._optional_components, *AUDIO_PARTS]
    _exclude_from_cpu_offload: ClassVar = [*QwenImagePipeline._exclude_from_cpu_offload, *AUDIO_PARTS]

    def __init__(
        self,
        scheduler: Any,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        transformer: Any,
        audio_encoder: Any = None,
        audio_embedder: Any = None,
        default_steps: int = 50,
        default_guidance: float = 4.0,
    ):
        super().__init__(scheduler, vae, text_encoder, tokenizer, transformer)
        own = {"default_steps": default_steps, "default_guidance": default_guidance}
        self._add_audio(audio_encoder, audio_embedder, **own)

    @property
    def _readers(self) -> tuple[TextReader, ...]:
        dropped = self.prompt_template_encode_start_idx
        limit = self._words + dropped
        return (
            TextReader(
                self.tokenizer,
                self.text_encoder,
                limit,
                template=self.prompt_template_encode.format,
                dropped=dropped,
                pads=False,
            ),
        )

    def _encode_text(self, text: str) -> tuple[Tensor, Tensor | None]:
        return self.encode_prompt(text, max_sequence_length=self._words)[0], None

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        rows, mask = _pad(prompts)
        encoded = {"prompt_embeds": rows, "prompt_embeds_mask": mask.long()}
        return encoded | {"true_cfg_scale": scale, "negative_prompt": negative or [" "] * len(prompts)}


class AudioTokenZImagePipeline(JointSoundToImage, ZImagePipeline):
    """Draws sounds with Z-Image. For Z-Image-Turbo pass num_inference_steps=8 and guidance_scale=0."""

    _optional_components: ClassVar = [*ZImagePipeline._optional_components, *AUDIO_PARTS]
    _exclude_from_cpu_offload: ClassVar = [*ZImagePipeline._exclude_from_cpu_offload, *AUDIO_PARTS]

    def __init__(
        self,
        scheduler: Any,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        transformer: Any,
        audio_encoder: Any = None,
        audio_embedder: Any = None,
        default_steps: int = 50,
        default_guidance: float = 5.0,
    ):
        super().__init__(scheduler, vae, text_encoder, tokenizer, transformer)
        own = {"default_steps": default_steps, "default_guidance": default_guidance}
        self._add_audio(audio_encoder, audio_embedder, **own)

    @property
    def _readers(self) -> tuple[TextReader, ...]:
        template = chat(self.tokenizer, True)
        return (TextReader(self.tokenizer, self.text_encoder, self._words, template=template, keeps_padding=False),)

    def _encode_text(self, text: str) -> tuple[Tensor, Tensor | None]:
        (row,), _ = self.encode_prompt(text, do_classifier_free_guidance=False, max_sequence_length=self._words)
        return row[None], None

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        rows = [self._encode_text(text)[0][0] for text in negative or [""] * len(prompts)]
        options: dict[str, Any] = {"prompt_embeds": [prompt.embeddings[0] for prompt in prompts]}
        return options | {"negative_prompt_embeds": rows, "guidance_scale": scale}


def chat(tokenizer: Any, thinking: bool) -> Any:
    """text -> the chat template with it as the message of a user, as the pipelines write it."""

    def write(text: str) -> str:
        messages = [{"role": "user", "content": text}]
        options = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": thinking}
        return str(tokenizer.apply_chat_template(messages, **options))

    return write
