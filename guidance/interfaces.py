"""What guidance needs of the objects that it is given: a diffusers pipeline and a prompt."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor

if TYPE_CHECKING:
    from diffusers import AutoencoderKL as AutoencoderKL
    from diffusers import ControlNetModel as ControlNetModel
    from diffusers import SchedulerMixin as SchedulerMixin
    from diffusers import UNet2DConditionModel as UNet2DConditionModel
    from diffusers.image_processor import VaeImageProcessor as VaeImageProcessor
    from diffusers.models.attention_processor import Attention as Attention
    from diffusers.models.attention_processor import AttentionProcessor as AttentionProcessor
else:  # loading diffusers takes seconds, and annotations alone do not need it
    AutoencoderKL = ControlNetModel = SchedulerMixin = UNet2DConditionModel = VaeImageProcessor = Any
    Attention = AttentionProcessor = Any


@runtime_checkable
class PromptEmbeds(Protocol):
    """An encoded prompt. Stable Diffusion XL also needs `pooled`, (1, features)."""

    @property
    def embeddings(self) -> Tensor: ...  # (1, tokens, width)


@runtime_checkable
class DiffusionPipelineLike(Protocol):
    """A diffusers StableDiffusionPipeline or StableDiffusionXLPipeline: what `sample` uses of one.

    XL pipelines also have `text_encoder_2`, `_get_add_time_ids` and `watermark`, the others `run_safety_checker`.
    """

    @property
    def unet(self) -> UNet2DConditionModel: ...

    @property
    def vae(self) -> AutoencoderKL: ...

    @property
    def scheduler(self) -> SchedulerMixin: ...

    @property
    def image_processor(self) -> VaeImageProcessor: ...

    @property
    def vae_scale_factor(self) -> int: ...

    @property
    def config(self) -> Mapping[str, Any]: ...

    @property
    def _execution_device(self) -> Any: ...

    def encode_prompt(self, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]: ...

    def prepare_latents(self, *args: Any, **kwargs: Any) -> Tensor: ...

    def prepare_extra_step_kwargs(self, generator: Any, eta: float) -> dict[str, Any]: ...

    def maybe_free_model_hooks(self) -> None: ...
