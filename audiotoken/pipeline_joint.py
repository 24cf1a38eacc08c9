"""Sounds in the prompts of transformers: the steps that their families share, each in a `pipeline_` file of its own.

Labels become words of the prompt, which needs no training. Learned tokens replace input embeddings of all of a model's
text encoders, as for Stable Diffusion; an embedder has to be trained for the model. Texts go through the diffusers
pipeline's own `encode_prompt`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from audiotoken.errors import CheckpointError, PromptError
from audiotoken.joint_text import fill_sounds, find_span, make_filler, read_sounds
from audiotoken.labels import insert_articles
from audiotoken.pipeline import SoundToImage, check_call, deal_sounds
from audiotoken.placeholder import PLACEHOLDER
from audiotoken.prompt import EncodedPrompts, Positions, Prompt
from audiotoken.whole_words import find_whole_words


class TextFeatures(NamedTuple):
    """What the denoiser reads of a text."""

    embeddings: Tensor  # (1, tokens, width)
    pooled: Tensor | None = None  # (1, features)
    mask: Tensor | None = None  # (1, tokens), 1 where it attends; None: it attends to all


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
        rows, mask = pad_prompts(prompts)
        added = {}
        if prompts[0].pooled is not None:
            added["pooled"] = torch.cat([prompt.pooled for prompt in prompts if prompt.pooled is not None])
        if prompts[0].mask is not None:
            added["mask"] = torch.cat([prompt.mask for prompt in prompts if prompt.mask is not None])
        elif not mask.all():
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
            features = self._encode_text(filled)
        text, cut = filled if spoken else text, self.find_cut(filled)
        return Prompt(features.embeddings, positions, text, features.pooled, cut, features.mask), spans

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

    def _encode_text(self, text: str) -> TextFeatures:
        """The features of a text, by the pipeline's `encode_prompt`, whose first result they mostly are."""
        return TextFeatures(self.encode_prompt(text, max_sequence_length=self._words)[0])  # type: ignore[attr-defined]

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
        self._warn_of_unread(scale, negative_prompt)
        return self._draw(call, num_inference_steps=steps, generator=generator, **options, **kwargs)


def pad_prompts(prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
    """(embeddings (texts, tokens, width), padded with zeros to one length; which are tokens, (texts, tokens) bool)."""
    lengths = torch.tensor([prompt.embeddings.shape[1] for prompt in prompts])
    rows = torch.nn.utils.rnn.pad_sequence([prompt.embeddings[0] for prompt in prompts], batch_first=True)
    return rows, (torch.arange(rows.shape[1])[None] < lengths[:, None]).to(rows.device)


def stack_prompts(prompts: Sequence[Prompt]) -> dict[str, Tensor]:
    """Keyword arguments of a diffusers pipeline: the prompts as a batch."""
    stacked = {"prompt_embeds": torch.cat([prompt.embeddings for prompt in prompts])}
    if prompts[0].pooled is not None:
        stacked["pooled_prompt_embeds"] = torch.cat([p.pooled for p in prompts if p.pooled is not None])
    if prompts[0].mask is not None:
        stacked["prompt_attention_mask"] = torch.cat([p.mask for p in prompts if p.mask is not None])
    return stacked
