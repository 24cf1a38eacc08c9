"""Z-Image that reads sounds in its prompt."""

from typing import Any, ClassVar

from diffusers import ZImagePipeline

from audiotoken.audio_mixin import AUDIO_PARTS
from audiotoken.joint_text import TextReader, chat
from audiotoken.pipeline_joint import JointSoundToImage, TextFeatures
from audiotoken.prompt import Prompt


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

    def _encode_text(self, text: str) -> TextFeatures:
        (row,), _ = self.encode_prompt(text, do_classifier_free_guidance=False, max_sequence_length=self._words)
        return TextFeatures(row[None])

    def _reads_negative(self, guidance_scale: float) -> bool:
        return guidance_scale > 0

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        rows = [self._encode_text(text).embeddings[0] for text in negative or [""] * len(prompts)]
        options: dict[str, Any] = {"prompt_embeds": [prompt.embeddings[0] for prompt in prompts]}
        return options | {"negative_prompt_embeds": rows, "guidance_scale": scale}
