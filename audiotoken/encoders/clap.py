"""CLAP (Wu et al. 2023, arXiv 2211.06687) as an audio encoder: transformers' audio tower, with names to score.

The hub ids are "laion/clap-htsat-unfused" and "laion/clap-htsat-fused". The text tower is needed once, to turn a list
of names into vectors; they are saved with the weights, so that a saved model needs no text tower.
"""

import math
import os
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoTokenizer,
    ClapAudioModelWithProjection,
    ClapTextModelWithProjection,
    PreTrainedModel,  # noqa: F401  # diffusers asks the module of a pipeline's part for this name
)
from transformers.audio_utils import mel_filter_bank

from audiotoken.encoders import check_waveform, hub
from audiotoken.encoders.audioset import list_subjects
from audiotoken.encoders.hub import LOAD_ERRORS, NamedClapConfig, load_complete, make_load_error, split_evenly
from audiotoken.errors import CheckpointError

RATE = 48_000
WINDOW, HOP, MEL = 1024, 480, 64  # samples, samples (10 ms), bins
BAND = (50.0, 14_000.0)  # Hz, of the mel bins, from the published front ends
LENGTH = 10 * RATE  # what the tower was trained on: shorter clips are repeated, longer ones processed in pieces
SENTENCE = "This is a sound of {}."
NEUTRAL = "This is a sound."
AT_ONCE = 256  # sentences per batch of the text tower
PUBLISHED = 'a CLAP as published, such as "laion/clap-htsat-unfused"'
FILES = (*hub.FILES, "tokenizer.json", "tokenizer_config.json")  # of a CLAP on the hub
WANTED = f"{PUBLISHED}, or a folder it was saved in"
HUB_OPTIONS = ("cache_dir", "local_files_only", "revision", "token")


class CLAP(ClapAudioModelWithProjection):
    """An `AudioEncoder`: 48 kHz mono in [-1, 1] -> features of the last layer; a score for each of its names.

    Time runs over the 10 s of the tower's input, 2 (low, high) for each 0.32 s; a short clip is repeated to fill them,
    so its features repeat as well. `width` is 768 in the published sizes.
    The fused checkpoint uses its global view only, since pieces are never longer than 10 s; transformers' extractor
    would mark a random clip of a batch as long, so that results would not be reproducible.
    """

    config_class = NamedClapConfig
    rate = RATE

    def __init__(self, config: NamedClapConfig):
        super().__init__(config)
        self.logit_scale_a = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        size = (1 + len(config.names), config.projection_dim)  # the neutral sentence, then the names
        self.register_buffer("sentences", torch.zeros(size) if config.names else None)

    @property
    def width(self) -> int:
        return self.config.hidden_size

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.config.names)

    def features(self, waveform: Tensor) -> Float[Tensor, "batch time width"]:
        """(batch, frames) -> (batch, time, width): 32 moments of 2 bands for each piece of up to 10 s."""
        states = [self._encode_audio(piece).last_hidden_state for piece in self._split(waveform)]
        return torch.cat([state.permute(0, 3, 2, 1).flatten(1, 2) for state in states], dim=1)  # from (b, width, 2, 32)

    def probabilities(self, waveform: Tensor) -> Float[Tensor, "batch classes"]:
        """(batch, frames) -> (batch, classes) in [0, 1]: does the name fit better than "This is a sound."?

        The softmax over these two sentences at CLAP's learnt temperature, for each name separately; 0.5 means "no
        better". It ranks as the cosine does, but is not a calibrated probability. A long clip takes its highest
        score over pieces, so that a short sound is not averaged away.
        """
        if self.sentences is None:
            raise ValueError(
                "This CLAP has no names to choose from, so it has no scores; give it some: clap.set_names()."
            )
        scores = []
        for piece in self._split(waveform):
            embedding = F.normalize(self.audio_projection(self._encode_audio(piece).pooler_output), dim=-1)
            cosines = embedding @ self.sentences.mT  # (batch, 1 + classes)
            scores.append(self.logit_scale_a.exp() * (cosines[:, 1:] - cosines[:, :1]))
        return torch.stack(scores).amax(dim=0).sigmoid()

    @torch.no_grad()
    def set_names(self, names: Sequence[str], text_tower: ClapTextModelWithProjection, tokenizer: Any) -> "CLAP":
        """Set the names to score, in this order; returns itself."""
        words = [each.strip() for each in names]
        if not words or not all(words) or len(set(words)) < len(words):
            raise CheckpointError(f"CLAP got the names {words[:3]}..., expected one or more, none empty or twice.")
        sentences = [NEUTRAL, *(SENTENCE.format(word) for word in words)]
        distinct = {tuple(ids) for ids in tokenizer(sentences)["input_ids"]}
        if len(distinct) < len(sentences):  # transformers also makes a tokenizer without files, and it knows no words
            raise CheckpointError("The tokenizer reads different names alike; give CLAP the one it was published with.")
        vectors = []
        for start in range(0, len(sentences), AT_ONCE):
            tokens = tokenizer(sentences[start : start + AT_ONCE], padding=True, truncation=True, return_tensors="pt")
            tokens = {key: tokens[key].to(text_tower.device) for key in ("input_ids", "attention_mask")}
            vectors.append(F.normalize(text_tower(**tokens).text_embeds, dim=-1))
        self.sentences = torch.cat(vectors).to(self.device, self.dtype)
        self.config.names = tuple(words)
        return self

    def _split(self, waveform: Tensor) -> tuple[Tensor, ...]:
        check_waveform(waveform, "CLAP", RATE)
        return split_evenly(waveform, LENGTH)

    def _encode_audio(self, waveform: Float[Tensor, "batch samples"]) -> Any:
        """Up to 10 s through the audio tower: `last_hidden_state` (batch, width, 2, 32), `pooler_output`."""
        mel = log_mel(waveform, fused=self.config.enable_fusion)[:, None].to(self.dtype)
        longer = torch.zeros(len(mel), 1, dtype=torch.bool, device=mel.device)
        return self.audio_model(input_features=mel, is_longer=longer)

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike, *, names: Sequence[str] | None = None, **kwargs: Any) -> "CLAP":
        """The encoder of a hub id or folder, ready for inference.

        It keeps its saved names; a published one has none and gets `names`, or the subjects of AudioSet.
        CheckpointError, one sentence, when it cannot be loaded, or has no text tower for new names.
        """
        clap = load_complete(
            super().from_pretrained, model, ("clap", NamedClapConfig.model_type), WANTED, FILES, **kwargs
        )
        if clap.config.names and names is not None:
            raise CheckpointError(f"Cannot give {model} other names: it keeps no text tower; give {PUBLISHED}.")
        if clap.config.names:
            return clap
        options = {key: kwargs[key] for key in HUB_OPTIONS if key in kwargs}
        wanted = f"{PUBLISHED}, with its text tower"
        text_tower = load_complete(
            ClapTextModelWithProjection.from_pretrained, model, ("clap",), wanted, FILES, **options
        )
        try:
            tokenizer = AutoTokenizer.from_pretrained(model, **options)
        except LOAD_ERRORS as error:
            raise make_load_error(model, error, f"{PUBLISHED}, with its tokenizer", FILES) from error
        return clap.set_names(list_subjects() if names is None else names, text_tower, tokenizer)


def log_mel(waveform: Float[Tensor, "batch samples"], *, fused: bool) -> Float[Tensor, "batch 1001 64"]:
    """48 kHz, up to 10 s, repeated as often as it fits completely, then silence -> log-mel in dB, a frame each 10 ms.

    The two checkpoints differ in their mel bins: HTK's for the fused one, Slaney's (librosa's default) for the other.
    Computed in float32 for any input.
    """
    waveform = waveform.float().repeat(1, max(1, LENGTH // waveform.shape[1]))
    waveform = F.pad(waveform, (0, LENGTH - waveform.shape[1]))
    window = torch.hann_window(WINDOW, device=waveform.device)
    power = torch.stft(waveform, WINDOW, HOP, window=window, return_complex=True).abs().square()  # (batch, 513, 1001)
    kind: dict[str, Any] = {"mel_scale": "htk"} if fused else {"norm": "slaney", "mel_scale": "slaney"}
    bins = torch.from_numpy(mel_filter_bank(WINDOW // 2 + 1, MEL, *BAND, RATE, **kind)).to(power)  # (513, 64)
    return 10 * (power.mT @ bins).clamp(min=1e-10).log10()
