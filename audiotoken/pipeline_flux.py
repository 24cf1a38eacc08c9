"""FLUX.1 that reads sounds in its prompt."""

from typing import Any, ClassVar

from diffusers import FluxPipeline

from audiotoken.audio_mixin import AUDIO_PARTS
from audiotoken.joint_text import TextReader
from audiotoken.pipeline_joint import JointSoundToImage, TextFeatures, stack_prompts
from audiotoken.prompt import Prompt


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

    def _encode_text(self, text: str) -> TextFeatures:
        embeddings, pooled, _ = self.encode_prompt(text, max_sequence_length=self._words)
        return TextFeatures(embeddings, pooled)

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        options: dict[str, Any] = stack_prompts(prompts) | {"guidance_scale": scale, "max_sequence_length": self._words}
        if negative is not None and scale > 1:
            options |= {"guidance_scale": 1.0, "true_cfg_scale": scale, "negative_prompt": negative}
        return options
