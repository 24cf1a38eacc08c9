"""What is in a picture, and where, by detectors that are asked in words: OWLv2 and Grounding DINO.

OWLv2: Minderer et al. (2023), arXiv 2306.09683; OWL-ViT, as VISOR used it, is read too. Grounding DINO: Liu et al.
(2023), arXiv 2303.05499. transformers does the work; guidance never sees what they see.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from guidance.errors import GuidanceError
from guidance.hub import BROKEN, refusal, source_of
from guidance.metrics import Detection, iou

THRESHOLDS = {"owlv2": 0.1, "owlvit": 0.1, "grounding-dino": 0.25}  # transformers' own
OVERLAP = 0.5  # intersection over union from which two boxes of a word are one thing
WANTED = "a folder or hub id of OWLv2 or Grounding DINO, such as google/owlv2-base-patch16-ensemble"


@dataclass(frozen=True, eq=False)
class Detector:
    """Made by `load_detector`."""

    model: Any
    processor: Any
    threshold: float  # score in [0, 1] from which a thing is there
    overlap: float = OVERLAP

    def __call__(self, pictures: Sequence[Any], words: Sequence[Sequence[str]]) -> list[list[Detection]]:
        """Of each PIL picture what is there of its own words, the surest first; labels are words as they were asked."""
        if len(pictures) != len(words):
            raise GuidanceError(
                f"Got words for {len(words)} pictures, want them for {len(pictures)}; give a list each."
            )
        return [self._look(picture, list(dict.fromkeys(asked))) for picture, asked in zip(pictures, words, strict=True)]

    def _look(self, picture: Any, words: list[str]) -> list[Detection]:
        if not words:
            return []
        scores, boxes = self.candidates(picture, words)
        best = scores.max(dim=1)
        kept = (best.values > self.threshold).nonzero().flatten().tolist()
        found = [_detection(words[best.indices[i]], boxes[i], float(best.values[i])) for i in kept]
        return suppressed([each for each in found if each.area > 0], self.overlap)

    @torch.no_grad()
    def candidates(self, picture: Any, words: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(scores (queries, words) in [0, 1], boxes (queries, 4) x0, y0, x1, y1 in [0, 1] of the picture)."""
        picture = picture.convert("RGB")
        grounding = self.model.config.model_type == "grounding-dino"
        inputs = self.processor(images=picture, text=_asked(words, grounding), return_tensors="pt", truncation=True)
        seen = self.model(**inputs.to(self.model.device, self.model.dtype))
        scores = seen.logits[0].float().sigmoid().cpu()  # (queries, words or tokens)
        if grounding:
            scores = _of_words(scores, inputs["input_ids"][0].tolist(), self.processor.tokenizer, words)
        centre, size = seen.pred_boxes[0].float().cpu().split(2, dim=-1)
        boxes = torch.cat([centre - size / 2, centre + size / 2], dim=-1)
        if self.model.config.model_type == "owlv2":  # which sees the picture in a corner of a square
            side = max(picture.size)
            boxes = boxes * torch.tensor([side / picture.width, side / picture.height] * 2)
        return scores, boxes


def load_detector(
    name: str | os.PathLike, *, threshold: float | None = None, overlap: float = OVERLAP, device: Any = "cpu"
) -> Detector:
    """The detector of a folder or hub id; safetensors are preferred, and no code of others is run.

    threshold: score in [0, 1], by default transformers' own of its kind. GuidanceError, one sentence, for what is none.
    """
    from transformers import AutoConfig, AutoModelForZeroShotObjectDetection, AutoProcessor

    where = source_of(name, "detector", WANTED)
    try:
        config = AutoConfig.from_pretrained(where, trust_remote_code=False)
        if config.model_type not in THRESHOLDS:
            raise ValueError(f"it is a model of the kind {config.model_type}")
        processor = AutoProcessor.from_pretrained(where, trust_remote_code=False)
        model = AutoModelForZeroShotObjectDetection.from_pretrained(where, config=config, trust_remote_code=False)
    except BROKEN as error:
        raise refusal(name, error, "detector", WANTED) from error
    least = THRESHOLDS[config.model_type] if threshold is None else threshold
    return Detector(model.to(device).eval(), processor, least, overlap)


def suppressed(found: Sequence[Detection], overlap: float = OVERLAP) -> list[Detection]:
    """Non-maximum suppression: of boxes of a word that overlap by more, the surest; the surest first."""
    kept: list[Detection] = []
    for each in sorted(found, key=lambda each: -each.score):
        if not any(other.label == each.label and iou(other.box, each.box) > overlap for other in kept):  # type: ignore[arg-type]
            kept.append(each)
    return kept


def _asked(words: Sequence[str], grounding: bool) -> list[list[str]] | str:
    """As each was trained to be asked: "a photo of a dog", or one text, "dog. frog."."""
    if not grounding:
        return [[f"a photo of a{'n' * (word[:1].lower() in 'aeiou')} {word}" for word in words]]
    plain = [" ".join(word.lower().replace(".", " ").replace("?", " ").split()) for word in words]
    return "".join(f"{word}. " for word in plain).strip()


def _of_words(scores: Tensor, ids: list[int], tokenizer: Any, words: Sequence[str]) -> Tensor:
    """(queries, tokens) -> (queries, words): the best token of each; words end with full stops."""
    stops = [at for at, token in enumerate(ids) if token == tokenizer.convert_tokens_to_ids(".")]
    if len(stops) != len(words) or any(end - start < 2 for start, end in zip([0, *stops], stops, strict=False)):
        raise GuidanceError(f"Got words that cannot be asked for, {', '.join(words)}; give fewer, or others.")
    spans = zip([0, *stops], stops, strict=False)  # the first is after the start token
    return torch.stack([scores[:, start + 1 : end].amax(dim=1) for start, end in spans], dim=1)


def _detection(word: str, box: Tensor, score: float) -> Detection:
    x0, y0, x1, y1 = box.clamp(0, 1).tolist()
    return Detection(word, ((x0 + x1) / 2, (y0 + y1) / 2), (x0, y0, x1, y1), (x1 - x0) * (y1 - y0), score)
