"""PE-A-Frame (Perception Encoder Audio, Meta) as a listener for any words: transformers' model, 25 moments a second.

The hub ids are "facebook/pe-a-frame-small", "-base" and "-large"; Apache-2.0. It embeds a text once and each 40 ms of a
recording; the scaled product of the two is the log-odds that the text describes the moment.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoTokenizer, PeAudioFrameLevelModel

from audiotoken.encoders import check_waveform
from audiotoken.encoders.hub import LOAD_ERRORS, load_complete, make_load_error

RATE, HOP = 48_000, 1920  # Hz, samples of a moment
LONGEST = 30 * RATE  # longer clips are processed in pieces: attention grows with the square of the length
WANTED = 'a PE-A-Frame as published, such as "facebook/pe-a-frame-base", or its folder'
SMOOTH = 5  # moments over which a score of the whole is averaged


class PeWords:
    """An `AudioTextEncoder` of a PE-A-Frame model and the words' embeddings."""

    hop = HOP / RATE
    rate = RATE

    def __init__(self, model: PeAudioFrameLevelModel, tokenizer: Any, words: Sequence[str]):
        self.model, self.words = model.eval(), tuple(words)
        self.vectors = self._embed_texts(tokenizer)

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike, words: Sequence[str]) -> "PeWords":
        """Of a hub id or folder; CheckpointError, one sentence, when it cannot be loaded."""
        loaded = load_complete(PeAudioFrameLevelModel.from_pretrained, model, ("pe_audio",), WANTED)
        try:
            return cls(loaded, AutoTokenizer.from_pretrained(model), words)
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
        waveform = F.pad(waveform, (0, whole - waveform.shape[1])).to(self.model.dtype)
        sounds = torch.cat([self._embed_sound(piece) for piece in _split(waveform)], dim=1)  # (batch, moments, width)
        logits = sounds @ self.vectors.mT
        return (logits * self.model.text_audio_logit_scale + self.model.text_audio_logit_bias).sigmoid()

    def _embed_sound(self, piece: Tensor) -> Tensor:
        return self.model.get_audio_embeds(piece[:, None])


def _split(waveform: Tensor) -> list[Tensor]:
    """Pieces of whole moments."""
    moments = waveform.unflatten(1, (-1, HOP))
    return [piece.flatten(1) for piece in moments.tensor_split(-(-waveform.shape[1] // LONGEST), dim=1)]
