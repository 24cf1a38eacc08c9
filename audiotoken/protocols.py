"""What the project requires of a pipeline; `AudioTokenPipeline` and `AudioTokenXLPipeline` implement it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # for annotations only: light modules import this one
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from torch import Tensor
    from transformers import CLIPTextModel, CLIPTokenizer

    from audiotoken.embedder import AudioEmbedder
    from audiotoken.encoders import AudioEncoder
    from audiotoken.prompt import EncodedPrompts, Prompt


class SoundPipeline(Protocol):
    """A diffusers text-to-image pipeline whose prompts may hold sounds."""

    @property
    def audio_encoder(self) -> "AudioEncoder | None":
        """Recognises sounds and gives their features."""

    @property
    def audio_embedder(self) -> "AudioEmbedder | None":
        """Turns features into audio tokens; None: labels stand for the sounds."""

    @property
    def tokenizer(self) -> "CLIPTokenizer":
        """The (first) tokenizer."""

    @property
    def text_encoder(self) -> "CLIPTextModel":
        """The (first) text encoder."""

    @property
    def unet(self) -> "UNet2DConditionModel":
        """The denoiser."""

    @property
    def denoiser(self) -> Any:
        """The same, or the transformer in its place."""

    @property
    def vae(self) -> "AutoencoderKL":
        """Between latents and pictures."""

    @property
    def vae_scale_factor(self) -> int:
        """Pixels per latent, along one side."""

    @property
    def scheduler(self) -> Any:
        """A diffusers scheduler; they share no type."""

    @property
    def components(self) -> Mapping[str, Any]:
        """All parts by name, None where there is none."""

    @property
    def config(self) -> Mapping[str, Any]:
        """What `model_index.json` says, such as `default_steps` and `default_guidance`."""

    @property
    def device(self) -> "torch.device": ...

    @property
    def dtype(self) -> "torch.dtype": ...

    @property
    def token_width(self) -> int:
        """Width of an audio token."""

    def __call__(self, audio: Any = None, prompt: Any = ..., **options: Any) -> Any:
        """Draw."""

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """As in diffusers."""

    def set_progress_bar_config(self, **options: Any) -> None:
        """As in diffusers."""

    # what `guidance.sample` uses of a diffusers pipeline

    @property
    def image_processor(self) -> Any: ...

    @property
    def _execution_device(self) -> Any: ...

    def encode_prompt(self, *args: Any, **kwargs: Any) -> "tuple[Tensor, ...]": ...

    def prepare_latents(self, *args: Any, **kwargs: Any) -> "Tensor": ...

    def prepare_extra_step_kwargs(self, generator: Any, eta: float) -> dict[str, Any]: ...

    def maybe_free_model_hooks(self) -> None: ...

    def classify(self, audio: Any, rate: int | None = None) -> list[tuple[str, float]]:
        """One recording -> (label, score in [0, 1]), best first."""

    def audio_prompts(self, audio: Any, rate: int | None = None, token: str | None = None) -> "Tensor | list[str]":
        """What stands for the sounds in a prompt."""

    def audio_tokens(self, audio: Any, rate: int | None = None) -> "Tensor":
        """(sounds, tokens_per_clip, token_width)."""

    def encode_prompts(self, prompt: str | list[str], sounds: "Tensor | Sequence[str] | None" = None) -> "list[Prompt]":
        """Texts with sounds, as the denoiser attends to them."""

    def encode(
        self,
        texts: Sequence[str],
        sounds: "Sequence[Sequence[Tensor]]",
        size: tuple[int, int] | None = None,
        device: "torch.device | None" = None,
    ) -> "EncodedPrompts":
        """The same for a batch, differentiable."""

    def find_cut(self, text: str) -> str:
        """The end of a text without sounds that is beyond what the model reads; empty if all of it is read."""

    def find_word(self, prompt: "Prompt", word: str, nth: int = 0) -> tuple[int, ...]:
        """Positions of a word of an encoded prompt."""

    def encode_text_ends(self, texts: Sequence[str], sounds: "Sequence[Sequence[Tensor]]") -> "Tensor":
        """(texts, width): one vector for each text."""

    def label_embeddings(self, names: Sequence[str]) -> "Tensor":
        """(classes, token_width)."""


class TrainablePipeline(SoundPipeline, Protocol):
    """A `SoundPipeline` whose two audio parts are there, as training requires."""

    @property
    def audio_encoder(self) -> "AudioEncoder":
        """Recognises sounds and gives their features."""

    @property
    def audio_embedder(self) -> "AudioEmbedder":
        """Turns features into audio tokens."""
