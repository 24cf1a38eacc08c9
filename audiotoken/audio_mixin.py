"""The audio parts of a pipeline, the same for all text-to-image models.

They always compute in float32: they are small, and a spectrogram in half precision changes the result.
"""

from typing import Any

import torch
from torch import Tensor

from audiotoken.audio import as_recording, is_pair, to_mono
from audiotoken.errors import CheckpointError, PromptError
from audiotoken.fit import check_model
from audiotoken.labels import choose_subject
from audiotoken.protocols import SoundPipeline

AUDIO_PARTS = ("audio_encoder", "audio_embedder")
TOKENS = ("learned", "label")
Audio = Any  # whatever `audiotoken.audio.as_recording` takes, or a list of them


class AudioMixin:
    """Adds sound to a diffusers pipeline that has an `audio_encoder` and, for learned tokens, an `audio_embedder`."""

    audio_encoder: Any
    audio_embedder: Any
    components: dict[str, Any]  # defined by the diffusers pipeline

    def audio_prompts(self, audio: Audio, rate: int | None = None, token: str | None = None) -> Tensor | list[str]:
        """Return what stands for each sound in a prompt; arrays need their `rate` in Hz.

        token: "learned" gives the embedder's tokens, as `audio_tokens` does; "label" gives for each sound the best
        label that can be drawn, whatever its score, and needs no embedder. None is "learned" if there is an embedder.
        Raises PromptError for another token or an empty list of sounds, CheckpointError if a part is missing.
        """
        token = token or ("learned" if self.audio_embedder is not None or self.audio_encoder is None else "label")
        if token not in TOKENS:
            raise PromptError(f"Got token={token!r}, expected one of {', '.join(TOKENS)}; choose one of these.")
        if token == "learned":
            return self.audio_tokens(audio, rate)
        return [choose_subject(heard) for heard in self._classify_each(audio, rate)]

    @torch.no_grad()
    def audio_tokens(self, audio: Audio, rate: int | None = None) -> Tensor:
        """The learned tokens of the sounds: (sounds, tokens_per_clip, token_width), float32."""
        self._check_audio_part("audio_embedder")
        return torch.cat([self.audio_embedder(self.audio_encoder.features(w)) for w in self._waveforms(audio, rate)])

    def classify(self, audio: Audio, rate: int | None = None) -> list[tuple[str, float]]:
        """Classify one recording: (label, score in [0, 1]), best first; empty if the encoder has no classes."""
        (heard,) = self._classify_each([audio], rate)
        return heard

    @torch.no_grad()
    def _classify_each(self, audio: Audio, rate: int | None) -> list[list[tuple[str, float]]]:
        """Classify each sound of `audio`."""
        self._check_audio_part("audio_encoder")
        waveforms, labels = self._waveforms(audio, rate), self.audio_encoder.labels
        if not labels:
            return [[] for _ in waveforms]
        scores = [self.audio_encoder.probabilities(waveform)[0].tolist() for waveform in waveforms]
        return [sorted(zip(labels, each, strict=True), key=lambda heard: -heard[1]) for each in scores]

    def _waveforms(self, audio: Audio, rate: int | None) -> list[Tensor]:
        """A (1, frames) mono waveform of each sound, at the encoder's rate, on its device.

        They are encoded one by one, so that padding cannot make clips depend on each other.
        """
        recordings = audio if isinstance(audio, list | tuple) and not is_pair(audio) else [audio]
        if not recordings:
            raise PromptError(
                "Got an empty list of sounds, expected one or more; leave the argument out to draw without a sound."
            )
        wanted = self.audio_encoder.rate
        signals = [to_mono(as_recording(each, rate, resample_to=wanted)[0]) for each in recordings]
        return [torch.from_numpy(signal)[None].to(self.audio_encoder.device) for signal in signals]

    def _check_audio_part(self, part: str) -> None:
        if self.audio_encoder is None or getattr(self, part) is None:
            raise CheckpointError(
                f"This pipeline has no {part}, so it cannot read sounds: `audiotoken assemble` makes a model that has "
                "one, or pass it as AudioTokenPipeline.from_pretrained(model, audio_encoder=..., audio_embedder=...)."
            )

    def to(self, *args: Any, dtype: torch.dtype | None = None, **kwargs: Any) -> Any:
        """Move to a device or dtype, as in diffusers; the audio parts move too but stay in float32."""
        dtype = next((each for each in args if isinstance(each, torch.dtype)), dtype)
        super().to(*(each for each in args if not isinstance(each, torch.dtype)), **kwargs)  # type: ignore[misc]
        for name, part in self.components.items():
            if dtype is not None and isinstance(part, torch.nn.Module) and name not in AUDIO_PARTS:
                part.to(dtype)
        return self

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the denoiser; the audio parts are always float32."""
        dtype: torch.dtype = self.denoiser.dtype
        return dtype

    @property
    def denoiser(self) -> Any:
        """The UNet or transformer."""
        return self.components[self.denoiser_name]

    @property
    def denoiser_name(self) -> str:
        """The name of this part."""
        return "transformer" if "transformer" in self.components else "unet"


def float32_audio_parts(dtype: Any) -> dict[str, torch.dtype]:
    """Set float32 for the audio parts in one dtype, or one per part, as diffusers accepts them when loading."""
    parts = dtype if isinstance(dtype, dict) else {"default": dtype or torch.float32}
    return parts | dict.fromkeys(AUDIO_PARTS, torch.float32)


def check_fit(pipe: SoundPipeline) -> None:
    """Raise CheckpointError unless the parts of a pipeline fit together; missing parts are skipped."""
    check_model(pipe)
    encoder, embedder = pipe.audio_encoder, pipe.audio_embedder
    if embedder is None:
        return
    input_size, output_size = embedder.config["input_size"], embedder.config["output_size"]
    if encoder is not None and encoder.width != input_size:
        raise CheckpointError(
            f"The audio_embedder does not fit the audio_encoder: it takes features {input_size} wide, they are "
            f"{encoder.width}; use the encoder, and the layers of it, that the embedder was trained with."
        )
    if output_size != pipe.token_width:
        raise CheckpointError(
            f"The audio_embedder does not fit the text encoder: its tokens are {output_size} wide, the text encoder "
            f"reads {pipe.token_width}; use an embedder made for this text encoder."
        )
