"""Qwen-Image that reads sounds in its prompt."""

from typing import Any, ClassVar

from diffusers import QwenImagePipeline

from audiotoken.audio_mixin import AUDIO_PARTS
from audiotoken.joint_text import TextReader
from audiotoken.pipeline_joint import JointSoundToImage, pad_prompts
from audiotoken.prompt import Prompt


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

    def _call_options(self, prompts: list[Prompt], negative: list[str] | None, scale: float) -> dict[str, Any]:
        rows, mask = pad_prompts(prompts)
        encoded = {"prompt_embeds": rows, "prompt_embeds_mask": mask.long()}
        return encoded | {"true_cfg_scale": scale, "negative_prompt": negative or [" "] * len(prompts)}
