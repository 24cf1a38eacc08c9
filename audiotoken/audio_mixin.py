"""What hears: the audio parts of a pipeline, the same for every text-to-image model.

They compute in float32 whatever the rest does, since they are small and a rounded spectrogram is heard differently.
"""

from typing import Any

import torch
from torch import Tensor

from audiotoken.audio import as_recording, to_mono
from audiotoken.errors import CheckpointError, PromptError
from audiotoken.fit import check_model
from audiotoken.labels import choose_subject

AUDIO_PARTS = ("audio_encoder", "audio_embedder")
TOKENS = ("learned", "label")
Audio = Any  # a path, an array (frames,) or (channels, frames), or a list of them


class AudioMixin:
    """For a diffusers pipeline that has an `audio_encoder`, and an `audio_embedder` unless labels are enough."""

    audio_encoder: Any
    audio_embedder: Any
    components: dict[str, Any]  # these are the diffusers pipeline's
    unet: Any

    def audio_prompts(self, audio: Audio, rate: int | None = None, token: str | None = None) -> Tensor | list[str]:
        """What stands for the sounds in a prompt; arrays need their `rate`.

        `token` is "learned": the embedder's tokens, as `audio_tokens`; or "label": for each sound the word of the best
        label that can be drawn, whatever its score, which needs no embedder. None takes "learned" where it can.
        """
        token = token or ("learned" if self.audio_embedder is not None or self.audio_encoder is None else "label")
        if token not in TOKENS:
            raise PromptError(f"Got token={token!r}, want one of {', '.join(TOKENS)}; change it.")
        if token == "learned":
            return self.audio_tokens(audio, rate)
        return [choose_subject(heard) for heard in self._classify_each(audio, rate)]

    @torch.no_grad()
    def audio_tokens(self, audio: Audio, rate: int | None = None) -> Tensor:
        """The words that stand for the sounds: (sounds, tokens_per_clip, token_width), float32."""
        self._check_audio_part("audio_embedder")
        return torch.cat([self.audio_embedder(self.audio_encoder.features(w)) for w in self._waveforms(audio, rate)])

    def classify(self, audio: Audio, rate: int | None = None) -> list[tuple[str, float]]:
        """What one recording sounds like: (label, score in [0, 1]), best first; empty if the encoder has no classes."""
        (heard,) = self._classify_each([audio], rate)
        return heard

    @torch.no_grad()
    def _classify_each(self, audio: Audio, rate: int | None) -> list[list[tuple[str, float]]]:
        """The same for each sound of `audio`."""
        self._check_audio_part("audio_encoder")
        waveforms, labels = self._waveforms(audio, rate), self.audio_encoder.labels
        if not labels:
            return [[] for _ in waveforms]
        scores = [self.audio_encoder.probabilities(waveform)[0].tolist() for waveform in waveforms]
        return [sorted(zip(labels, each, strict=True), key=lambda heard: -heard[1]) for each in scores]

    def _waveforms(self, audio: Audio, rate: int | None) -> list[Tensor]:
        """One (1, frames) each, mono, at the encoder's rate, on its device: encoded singly, no clip hears another."""
        recordings = audio if isinstance(audio, list | tuple) else [audio]
        if not recordings:
            raise PromptError("Got an empty list of sounds, want one or more; without a sound leave it out.")
        wanted = self.audio_encoder.rate
        signals = [to_mono(as_recording(each, rate, resample_to=wanted)[0]) for each in recordings]
        return [torch.from_numpy(signal)[None].to(self.audio_encoder.device) for signal in signals]

    def _check_audio_part(self, part: str) -> None:
        if self.audio_encoder is None or getattr(self, part) is None:
            raise CheckpointError(
                f"This pipeline has no {part}, so it cannot hear: load a model that has one, "
                "or give it as AudioTokenPipeline.from_pretrained(model, audio_encoder=..., audio_embedder=...)."
            )

    def to(self, *args: Any, dtype: torch.dtype | None = None, **kwargs: Any) -> Any:
        """As in diffusers; the audio parts go to the device, but stay in float32."""
        dtype = next((each for each in args if isinstance(each, torch.dtype)), dtype)
        super().to(*(each for each in args if not isinstance(each, torch.dtype)), **kwargs)  # type: ignore[misc]
        for name, part in self.components.items():
            if dtype is not None and isinstance(part, torch.nn.Module) and name not in AUDIO_PARTS:
                part.to(dtype)
        return self

    @property
    def dtype(self) -> torch.dtype:
        """Of the denoiser; the audio parts are float32 always."""
        return self.unet.dtype


def float32_audio_parts(dtype: Any) -> dict[str, torch.dtype]:
    """One dtype, or one per part, as diffusers takes them at loading; float32 for the audio parts."""
    parts = dtype if isinstance(dtype, dict) else {"default": dtype or torch.float32}
    return parts | dict.fromkeys(AUDIO_PARTS, torch.float32)


def check_fit(pipe: Any) -> None:
    """CheckpointError unless each part takes what the one before it gives; parts that are not there fit."""
    check_model(pipe)
    encoder, embedder = pipe.audio_encoder, pipe.audio_embedder
    if embedder is None:
        return
    takes, gives = embedder.config["input_size"], embedder.config["output_size"]
    if encoder is not None and encoder.width != takes:
        raise CheckpointError(
            f"The audio_embedder does not fit the audio_encoder: it takes features {takes} wide, they are "
            f"{encoder.width}; use the encoder, and the layers of it, that the embedder was trained with."
        )
    if gives != pipe.token_width:
        raise CheckpointError(
            f"The audio_embedder does not fit the text encoder: its tokens are {gives} wide, the text encoder reads "
            f"{pipe.token_width}; use an embedder made for this text encoder."
        )
