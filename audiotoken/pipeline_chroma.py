"""Chroma that reads sounds in its prompt."""

from typing import Any, ClassVar

from diffusers import ChromaPipeline

from audiotoken.audio_mixin import AUDIO_PARTS
from audiotoken.joint_text import TextReader
from audiotoken.pipeline_joint import JointSoundToImage, TextFeatures, stack_prompts
from audiotoken.prompt import Prompt


class AudioTokenChromaPipeline(JointSoundToImage, ChromaPipeline):
    """Draws sounds with Chroma, which reads the prompt with T5 alone."""

    _optional_components: ClassVar = [*ChromaPipeline._optional_components, *AUDIO_PARTS]
    _exclude_from_cpu_offload: ClassVar = [*ChromaPipeline._exclude_from_cpu_offload, *AUDIO_PARTS]

    def __init__(
        self,
        scheduler: Any,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        transformer: Any,
        image_encoder: Any = None,
        feature_extractor: Any = None,
        audio_encoder: Any = None,
        audio_embedder: Any = None,
        default_steps: int = 35,
        default_guidance: float = 5.0,
    ):
        super().__init__(scheduler, vae, text_encoder, tokenizer, transformer, image_encoder, feature_extractor)
        own = {"default_steps": default_steps, "default_guidance": default_guidance}
        self._add_audio(audio_encoder, audio_embedder, **own)

    @property
    def _readers(self) -> tuple[TextReader, ...]:
        return (TextReader(self.tokenizer, self.text_encoder, self._words),)

    def _encode_text(self, text: str) -> TextFeatures:
        options = {"do_classifier_free_guidance": False, "max_sequence_length": self._words}
        embeddings, _, mask, *_ = self.encode_prompt(text, **options)
        return TextFeatures(embeddings, mask=mask)

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        shared = {"negative_prompt": negative, "guidance_scale": scale, "max_sequence_length": self._words}
        return stack_prompts(prompts) | shared
