"""FLUX.2 that reads sounds in its prompt."""

from typing import Any, ClassVar

import torch
from diffusers import Flux2KleinPipeline, Flux2Pipeline
from diffusers.pipelines.flux2.pipeline_flux2 import format_input

from audiotoken.audio_mixin import AUDIO_PARTS
from audiotoken.errors import PromptError
from audiotoken.joint_text import TextReader, chat
from audiotoken.pipeline_joint import JointSoundToImage, stack_prompts
from audiotoken.prompt import Prompt

IMAGE = "[IMG]"  # in a text, to Mistral's processor


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

    def _reads_negative(self, guidance_scale: float) -> bool:
        return guidance_scale > 1 and not self.config.is_distilled

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        options: dict[str, Any] = stack_prompts(prompts) | {"guidance_scale": scale, "max_sequence_length": self._words}
        if self._reads_negative(scale):
            rows = [self._encode_text(text).embeddings for text in negative or [""] * len(prompts)]
            options["negative_prompt_embeds"] = torch.cat(rows)
        return options


class AudioTokenFlux2DevPipeline(JointSoundToImage, Flux2Pipeline):
    """Draws sounds with FLUX.2 dev. Its tokenizer is a processor, which needs torchvision."""

    _optional_components: ClassVar = [*Flux2Pipeline._optional_components, *AUDIO_PARTS]
    _exclude_from_cpu_offload: ClassVar = [*Flux2Pipeline._exclude_from_cpu_offload, *AUDIO_PARTS]

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
        tokenizer = getattr(self.tokenizer, "tokenizer", self.tokenizer)  # that of the processor
        return (TextReader(tokenizer, self.text_encoder, self._words, template=self._chat, adds_special=False),)

    def _chat(self, text: str) -> str:
        """The chat template with the text, as the pipeline writes it; PromptError for what it would take out."""
        if IMAGE in text:
            raise PromptError(f"Got {IMAGE} in the prompt, which stands for a picture in FLUX.2 dev; leave it out.")
        messages = format_input([text], self.system_message)
        (whole,) = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
        return str(whole)

    def _reads_negative(self, guidance_scale: float) -> bool:
        return False  # the scale is an input of the model

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        return stack_prompts(prompts) | {"guidance_scale": scale, "max_sequence_length": self._words}
