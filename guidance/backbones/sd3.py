"""Stable Diffusion 3 and 3.5 (Esser et al. 2024, arXiv 2403.03206).

The prompt is 77 tokens of two CLIP encoders side by side, then those of T5, so that a word stands at two places. In
attention the pixels come first, then the text. Some blocks of 3.5 Medium also have attention among pixels alone. The
processors ignore an attention mask.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from guidance.backbones.base import Conditioning, JointSequence
from guidance.backbones.transformer import TransformerBackbone, shift_by_pixels
from guidance.errors import GuidanceError
from guidance.interfaces import PromptEmbeds, SchedulerMixin


@dataclass(frozen=True, eq=False)
class SD3Backbone(TransformerBackbone):
    """A diffusers StableDiffusion3Pipeline."""

    pipeline: ClassVar[str] = "StableDiffusion3Pipeline"

    @property
    def own_defaults(self) -> tuple[int, float]:
        return 28, 7.0

    @property
    def patch(self) -> int:
        return int(self.denoiser.config.patch_size)

    @torch.no_grad()
    def prepare_conditioning(
        self,
        prompts: Sequence[PromptEmbeds],
        negative_prompt: str | Sequence[str] | None,
        guidance_scale: float,
        size: tuple[int, int],
    ) -> Conditioning:
        device, guided = self.pipe._execution_device, self.is_guided(negative_prompt, guidance_scale)
        embeddings = torch.cat([prompt.embeddings for prompt in prompts]).to(device)
        pooled = torch.cat([read_pooled(prompt) for prompt in prompts]).to(device)
        negatives = [negative_prompt] * len(prompts) if isinstance(negative_prompt, str) else negative_prompt
        positive, negative, pooled, negative_pooled = self.pipe.encode_prompt(
            prompt=None,
            prompt_2=None,
            prompt_3=None,
            device=device,
            do_classifier_free_guidance=guided,
            negative_prompt=negatives,
            prompt_embeds=embeddings,
            pooled_prompt_embeds=pooled,
            max_sequence_length=embeddings.shape[1] - self.pipe.tokenizer_max_length,  # of T5, as in the prompt
        )
        if not guided:
            return Conditioning(positive, None, {"pooled": pooled}, guidance_scale=guidance_scale)
        return Conditioning(positive, negative, {"pooled": pooled}, {"pooled": negative_pooled}, guidance_scale)

    def schedule_options(self, scheduler: Any, steps: int, pixels: int) -> dict[str, Any]:
        shifts = scheduler.config.get("use_dynamic_shifting")
        mu = {"mu": shift_by_pixels(scheduler, pixels, 1.16)} if shifts else {}
        return {"num_inference_steps": steps} | mu

    def predict_noise(
        self, scheduler: SchedulerMixin, latents: Tensor, timestep: Tensor | float, conditioning: Conditioning
    ) -> Tensor:
        return self.predict_in_one_pass(latents, timestep, conditioning)

    def predict_raw(
        self, inputs: Tensor, timestep: Tensor | float, embeddings: Tensor, added: dict[str, Tensor]
    ) -> Tensor:
        times = torch.as_tensor(timestep, device=inputs.device).expand(len(inputs))
        velocity: Tensor = self.denoiser(
            hidden_states=inputs,
            timestep=times,
            encoder_hidden_states=embeddings,
            pooled_projections=added["pooled"],
            return_dict=False,
        )[0]
        return velocity

    def attention_layers(self) -> Iterator[tuple[str, Any, str]]:
        yield from super().attention_layers()
        for name, module in self.denoiser.named_modules():
            if name.endswith(".attn2"):
                yield name, module, "self"

    def locate(self, conditioning: Conditioning, pixels: int) -> JointSequence:
        return JointSequence(text=pixels, pixels=0, length=pixels + conditioning.positive.shape[1])


def read_pooled(prompt: PromptEmbeds) -> Tensor:
    """(1, features); GuidanceError for a prompt without them."""
    pooled: Tensor | None = getattr(prompt, "pooled", None)
    if pooled is None:
        raise GuidanceError("Got a prompt without pooled features, expected .pooled; encode it with the pipeline.")
    return pooled
