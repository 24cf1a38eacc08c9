"""Stable Diffusion XL that reads sounds in its prompt (Podell et al. 2023, arXiv 2307.01952).

Both text encoders read the sound: an audio token is as wide as their input embeddings together (768 + 1280), and each
encoder gets its part. The denoiser attends to the concatenated penultimate layers of both, and is also given the pooled
output of the second encoder and the size of the picture. A weight, `(<audio>:1.3)`, changes only the attended layers.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.schedulers import KarrasDiffusionSchedulers
from torch import Tensor
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from audiotoken.audio_mixin import AUDIO_PARTS, check_fit
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders import AudioEncoder
from audiotoken.errors import PromptError
from audiotoken.pipeline import SoundToImage, TextEncoder
from audiotoken.prompt import EncodedPrompts, check_width, encode_texts
from audiotoken.transfer import send


class AudioTokenXLPipeline(SoundToImage, StableDiffusionXLPipeline):
    """Draws sounds with Stable Diffusion XL; `AudioTokenPipeline.from_pretrained` returns one for an XL model."""

    _optional_components: ClassVar = [*StableDiffusionXLPipeline._optional_components, *AUDIO_PARTS]
    _exclude_from_cpu_offload: ClassVar = [*StableDiffusionXLPipeline._exclude_from_cpu_offload, *AUDIO_PARTS]

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        text_encoder_2: CLIPTextModelWithProjection,
        tokenizer: CLIPTokenizer,
        tokenizer_2: CLIPTokenizer,
        unet: UNet2DConditionModel,
        scheduler: KarrasDiffusionSchedulers,
        audio_encoder: AudioEncoder | None = None,
        audio_embedder: AudioEmbedder | None = None,
        image_encoder: CLIPVisionModelWithProjection | None = None,
        feature_extractor: CLIPImageProcessor | None = None,
        force_zeros_for_empty_prompt: bool = True,
        add_watermarker: bool | None = None,
        default_steps: int = 50,
        default_guidance: float = 5.0,
        guidance_layers: str | None = None,
    ):
        super().__init__(
            vae=vae,
            text_encoder=text_encoder,
            text_encoder_2=text_encoder_2,
            tokenizer=tokenizer,
            tokenizer_2=tokenizer_2,
            unet=unet,
            scheduler=scheduler,
            image_encoder=image_encoder,
            feature_extractor=feature_extractor,
            force_zeros_for_empty_prompt=force_zeros_for_empty_prompt,
            add_watermarker=add_watermarker,
        )
        self.register_modules(audio_encoder=audio_encoder, audio_embedder=audio_embedder)
        own = {"default_steps": default_steps, "default_guidance": default_guidance}
        self.register_to_config(guidance_layers=guidance_layers, **own)
        check_fit(self)

    @property
    def _text_encoders(self) -> tuple[TextEncoder, ...]:
        return (self.tokenizer, self.text_encoder), (self.tokenizer_2, self.text_encoder_2)

    def encode(
        self,
        texts: Sequence[str],
        sounds: Sequence[Sequence[Tensor]],
        size: tuple[int, int] | None = None,
        device: torch.device | None = None,
    ) -> EncodedPrompts:
        """Encode texts and their sounds, `sounds[text][i]` (vectors, token_width), for the denoiser; differentiable.

        `size` is (height, width) of the picture in pixels, by default the model's own; the denoiser is given it as the
        original size and the target size, without cropping. device: where the text encoders compute; by default it is
        looked for, which takes milliseconds.
        """
        device = device or self._execution_device
        check_width([sound for each in sounds for sound in each], self.token_width)
        start, embeddings, positions = 0, [], []
        for tokenizer, text_encoder in self._text_encoders:
            end = start + text_encoder.get_input_embeddings().embedding_dim
            own = [[sound[..., start:end] for sound in each] for each in sounds]
            encoded = encode_texts(texts, own, tokenizer, text_encoder, device, penultimate=True)
            embeddings.append(encoded[0])
            positions.append(encoded[1])
            pooled, start = encoded[2], end  # the last one remains, that of the second encoder
        if positions[0] != positions[1]:
            raise PromptError(
                "The two tokenizers split the words before a sound into different numbers of tokens; "
                "load a textual inversion into both of them, or leave it out."
            )
        side = self.default_sample_size * self.vae_scale_factor
        height, width = size or (side, side)
        sizes = torch.tensor([[height, width, 0, 0, height, width]], dtype=pooled.dtype)
        times = send(sizes, pooled.device).expand(len(pooled), -1)
        return EncodedPrompts(torch.cat(embeddings, dim=-1), positions[0], {"text_embeds": pooled, "time_ids": times})
