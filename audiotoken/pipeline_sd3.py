"""Stable Diffusion 3 and 3.5 that read sounds in their prompt."""

from typing import Any, ClassVar

from diffusers import StableDiffusion3Pipeline

from audiotoken.audio_mixin import AUDIO_PARTS
from audiotoken.joint_text import TextReader
from audiotoken.pipeline_joint import JointSoundToImage, TextFeatures, stack_prompts
from audiotoken.prompt import Prompt


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

    def _encode_text(self, text: str) -> TextFeatures:
        options = {"do_classifier_free_guidance": False, "max_sequence_length": self._words}
        embeddings, _, pooled, _ = self.encode_prompt(text, None, None, **options)
        return TextFeatures(embeddings, pooled)

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        shared = {"negative_prompt": negative, "guidance_scale": scale, "max_sequence_length": self._words}
        return stack_prompts(prompts) | shared
