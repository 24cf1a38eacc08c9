"""What is in a picture, and where, by open-vocabulary detectors: OWLv2 and Grounding DINO.

OWLv2: Minderer et al. (2023), arXiv 2306.09683; OWL-ViT, which VISOR used, is supported too. Grounding DINO: Liu et al.
(2023), arXiv 2303.05499. transformers runs the models; guidance never uses their detections.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL.Image import Image
from torch import Tensor

from guidance.errors import GuidanceError
from guidance.hub import LOAD_ERRORS, load_error, resolve_source
from guidance.metrics import Detection, iou

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

THRESHOLDS = {"owlv2": 0.1, "owlvit": 0.1, "grounding-dino": 0.25}  # defaults of transformers
OVERLAP = 0.5  # intersection over union above which two boxes of a word are one thing
EXPECTED = "a folder or hub id of OWLv2 or Grounding DINO, such as google/owlv2-base-patch16-ensemble"


@dataclass(frozen=True, eq=False)
class Detector:
    """An open-vocabulary detector; made by `load_detector`."""

    model: "PreTrainedModel"
    processor: "ProcessorMixin"
    threshold: float  # a thing is present from this score on, in [0, 1]
    overlap: float = OVERLAP

    def __call__(self, pictures: Sequence[Image], words: Sequence[Sequence[str]]) -> list[list[Detection]]:
        """Detections of each picture's own words, highest score first; labels are the words as given."""
        if len(pictures) != len(words):
            raise GuidanceError(
                f"Got words for {len(words)} pictures, expected them for {len(pictures)}; give a list for each picture."
            )
        unique = [list(dict.fromkeys(each)) for each in words]
        return [self._detect(picture, each) for picture, each in zip(pictures, unique, strict=True)]

    def _detect(self, picture: Image, words: list[str]) -> list[Detection]:
        if not words:
            return []
        scores, boxes = self.score_candidates(picture, words)
        best = scores.max(dim=1)
        present = (best.values > self.threshold).nonzero().flatten().tolist()
        detections = [_make_detection(words[best.indices[i]], boxes[i], float(best.values[i])) for i in present]
        return suppress_overlaps([each for each in detections if each.area > 0], self.overlap)

    @torch.no_grad()
    def score_candidates(self, picture: Image, words: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(scores (queries, words) in [0, 1], boxes (queries, 4) x0, y0, x1, y1 in [0, 1] of the picture)."""
        picture = picture.convert("RGB")
        grounding = self.model.config.model_type == "grounding-dino"
        text = _format_query(words, grounding)
        inputs = self.processor(images=picture, text=text, return_tensors="pt", truncation=True)
        output = self.model(**inputs.to(self.model.device, self.model.dtype))
        scores = output.logits[0].float().sigmoid().cpu()  # (queries, words or tokens)
        if grounding:
            scores = _scores_by_word(scores, inputs["input_ids"][0].tolist(), self.processor.tokenizer, words)
        centre, size = output.pred_boxes[0].float().cpu().split(2, dim=-1)
        boxes = torch.cat([centre - size / 2, centre + size / 2], dim=-1)
        if self.model.config.model_type == "owlv2":  # its picture is padded to a square, in the top left corner
            side = max(picture.size)
            boxes = boxes * torch.tensor([side / picture.width, side / picture.height] * 2)
        return scores, boxes


def load_detector(
    name: str | os.PathLike,
    *,
    threshold: float | None = None,
    overlap: float = OVERLAP,
    device: torch.device | str = "cpu",
) -> Detector:
    """The detector of a folder or hub id; safetensors are preferred, and no remote code is run.

    threshold: score in [0, 1], by default that of transformers for the model. GuidanceError, one sentence, for models
    that are not such a detector.
    """
    from transformers import AutoConfig, AutoModelForZeroShotObjectDetection, AutoProcessor  # seconds; few need them

    source = resolve_source(name, "detector", EXPECTED)
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        if config.model_type not in THRESHOLDS:
            raise ValueError(f"it is a model of the kind {config.model_type}")
        processor = AutoProcessor.from_pretrained(source, trust_remote_code=False)
        model = AutoModelForZeroShotObjectDetection.from_pretrained(source, config=config, trust_remote_code=False)
    except LOAD_ERRORS as error:
        raise load_error(name, error, "detector", EXPECTED) from error
    least = THRESHOLDS[config.model_type] if threshold is None else threshold
    return Detector(model.to(device).eval(), processor, least, overlap)


def suppress_overlaps(detections: Sequence[Detection], overlap: float = OVERLAP) -> list[Detection]:
    """Non-maximum suppression per word: of boxes that overlap by more, keep that of the highest score; sorted by it."""
    kept: list[Detection] = []
    for each in sorted(detections, key=lambda each: -each.score):
        if not any(other.label == each.label and iou(other.box, each.box) > overlap for other in kept):  # type: ignore[arg-type]
            kept.append(each)
    return kept


def _format_query(words: Sequence[str], grounding: bool) -> list[list[str]] | str:
    """The text that the model was trained with: "a photo of a dog" per word, or "dog. frog." for Grounding DINO."""
    if not grounding:
        return [[f"a photo of a{'n' * (word[:1].lower() in 'aeiou')} {word}" for word in words]]
    plain = [" ".join(word.lower().replace(".", " ").replace("?", " ").split()) for word in words]
    return "".join(f"{word}. " for word in plain).strip()


def _scores_by_word(
    scores: Tensor, ids: list[int], tokenizer: "PreTrainedTokenizerBase", words: Sequence[str]
) -> Tensor:
    """(queries, tokens) -> (queries, words): the best token of each word; words end with full stops."""
    stops = [at for at, token in enumerate(ids) if token == tokenizer.convert_tokens_to_ids(".")]
    if len(stops) != len(words) or any(end - start < 2 for start, end in zip([0, *stops], stops, strict=False)):
        raise GuidanceError(
            f"Got words that cannot be searched for, {', '.join(words)}, expected fewer or plain words; change them."
        )
    spans = zip([0, *stops], stops, strict=False)  # the first follows the start token
    return torch.stack([scores[:, start + 1 : end].amax(dim=1) for start, end in spans], dim=1)


def _make_detection(word: str, box: Tensor, score: float) -> Detection:
    x0, y0, x1, y1 = box.clamp(0, 1).tolist()
    return Detection(word, ((x0 + x1) / 2, (y0 + y1) / 2), (x0, y0, x1, y1), (x1 - x0) * (y1 - y0), score)
