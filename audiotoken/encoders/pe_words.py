"""Perception Encoder Audio (Meta, arXiv 2512.19687; Apache-2.0) as a listener for any words: transformers' models.

"facebook/pe-a-frame-small", "-base" and "-large" embed each 40 ms of a recording. "facebook/pe-av-small", "-base" and
"-large" embed a clip as a whole, so each half second is heard with the two seconds around it; only their part for sound
is loaded. Both embed a text once; the scaled product of the two is the log-odds that the text describes the sound.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoConfig, AutoTokenizer, PeAudioFrameLevelModel, PeAudioModel, PreTrainedConfig

from audiotoken.encoders import check_waveform
from audiotoken.encoders.excerpts import cut_excerpts
from audiotoken.encoders.hub import LOAD_ERRORS, load_complete, make_load_error

RATE, HOP = 48_000, 1920  # Hz, samples of a moment of PE-A-Frame
LONGEST = 30 * RATE  # longer clips are processed in pieces: attention grows with the square of the length
EXCERPT, AT_ONCE = 2 * RATE, 16  # samples of an excerpt for PE-AV; excerpts in a batch
WANTED = 'a PE-A-Frame or PE-AV as published, such as "facebook/pe-a-frame-base", or its folder'
SMOOTH = 5  # moments over which a score of the whole is averaged


class PeWords:
    """An `AudioTextEncoder` of a PE model and the words' embeddings: what its two kinds share."""

    rate = RATE

    def __init__(self, model: PeAudioModel, tokenizer: Any, words: Sequence[str]):
        self.model, self.words = model.eval(), tuple(words)
        self.vectors = self._embed_texts(tokenizer)

    @staticmethod
    def from_pretrained(model: str | os.PathLike, words: Sequence[str]) -> "PeFrameWords | PeClipWords":
        """Of a hub id or folder of either kind; CheckpointError, one sentence, when it cannot be loaded."""
        loaded = load_complete(_load_sound_part, model, ("pe_audio", "pe_audio_video"), WANTED)
        kind = PeFrameWords if isinstance(loaded, PeAudioFrameLevelModel) else PeClipWords
        try:
            return kind(loaded, AutoTokenizer.from_pretrained(model), words)
        except LOAD_ERRORS as error:
            raise make_load_error(model, error, WANTED) from error

    @property
    def device(self) -> torch.device:
        return self.model.device

    @torch.no_grad()
    def _embed_texts(self, tokenizer: Any) -> Tensor:
        """(words, width), as the model's own forward embeds texts."""
        tokens = tokenizer(list(self.words), padding=True, truncation=True, return_tensors="pt")
        tokens = {key: tokens[key].to(self.device) for key in ("input_ids", "attention_mask")}
        outputs = self.model.text_model(**tokens, output_hidden_states=True)
        return self.model.text_audio_head(outputs.hidden_states[-1][:, 0])

    def _compare(self, sounds: Tensor) -> Tensor:
        """(..., width) -> (..., words): the model's own probabilities."""
        logits = sounds @ self.vectors.mT
        return (logits * self.model.text_audio_logit_scale + self.model.text_audio_logit_bias).sigmoid()

    def _embed_sound(self, piece: Tensor) -> Tensor:
        return self.model.get_audio_embeds(piece[:, None].to(self.model.dtype))


class PeFrameWords(PeWords):
    """An `AudioTextEncoder` of PE-A-Frame."""

    hop = HOP / RATE

    @torch.no_grad()
    def score(self, waveform: Tensor) -> Tensor:
        """(batch, words): the best of the moments, averaged over 0.2 s."""
        moments = self.score_moments(waveform).mT  # (batch, words, moments)
        return F.avg_pool1d(moments, min(SMOOTH, moments.shape[-1]), stride=1).amax(dim=-1)

    @torch.no_grad()
    def score_moments(self, waveform: Tensor) -> Tensor:
        """(batch, moments, words): the model's own probability for each 40 ms."""
        check_waveform(waveform, "PE-A-Frame", RATE)
        whole = -(-waveform.shape[1] // HOP) * HOP
        pieces = _split(F.pad(waveform, (0, whole - waveform.shape[1])))
        return self._compare(torch.cat([self._embed_sound(piece) for piece in pieces], dim=1))


class PeClipWords(PeWords):
    """An `AudioTextEncoder` of the part of PE-AV that hears."""

    hop = 0.5

    @torch.no_grad()
    def score(self, waveform: Tensor) -> Tensor:
        """(batch, words): the best of the moments, so that a short sound is not averaged away."""
        return self.score_moments(waveform).amax(dim=1)

    @torch.no_grad()
    def score_moments(self, waveform: Tensor) -> Tensor:
        """(batch, moments, words): the model's own probability for the two seconds around each half."""
        check_waveform(waveform, "PE-AV", RATE)
        excerpts = cut_excerpts(waveform, round(self.hop * RATE), EXCERPT)
        sounds = torch.cat([self._embed_sound(some) for some in excerpts.flatten(0, 1).split(AT_ONCE)])
        return self._compare(sounds).unflatten(0, excerpts.shape[:2])


def _load_sound_part(source: str, **options: Any) -> Any:
    """What `from_pretrained` of the class that the configuration names returns; of PE-AV the part for sound and text.

    So neither the part for pictures nor timm, which that needs, is loaded.
    """
    config = PreTrainedConfig.get_config_dict(source)[0]
    if config["model_type"] == "pe_audio_video":
        audio = AutoConfig.from_pretrained(source).audio_config
        return PeAudioModel.from_pretrained(source, config=audio, **options)
    whole = config.get("architectures") == [PeAudioModel.__name__]
    return (PeAudioModel if whole else PeAudioFrameLevelModel).from_pretrained(source, **options)


def _split(waveform: Tensor) -> list[Tensor]:
    """Pieces of whole moments."""
    moments = waveform.unflatten(1, (-1, HOP))
    return [piece.flatten(1) for piece in moments.tensor_split(-(-waveform.shape[1] // LONGEST), dim=1)]
