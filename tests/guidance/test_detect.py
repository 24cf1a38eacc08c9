"""Open-vocabulary detectors: tiny ones with random weights, in the published layouts of transformers."""

import json
from functools import cache
from string import ascii_lowercase

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from audiotoken.debug import debug_tokenizer
from guidance import Region
from guidance.detect import Detector, load_detector, suppress_overlaps
from guidance.errors import GuidanceError
from guidance.metrics import Detection, geneval, geneval_relations

WORDS = ["dog", "old frog", "bell"]
KINDS = ("owlv2", "owlvit", "grounding-dino")


def owl(kind):
    """(model, processor): one query a patch, 4 x 4 of them."""
    name = {"owlv2": "Owlv2", "owlvit": "OwlViT"}[kind]
    tokenizer = debug_tokenizer("!")
    tokenizer.model_max_length = 16
    small = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0}
    config = getattr(transformers, f"{name}Config")(
        text_config=small | ends | {"vocab_size": len(tokenizer), "max_position_embeddings": 16},
        vision_config=small | {"image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    images = getattr(transformers, f"{name}ImageProcessor")(size={"height": 32, "width": 32})
    processor = getattr(transformers, f"{name}Processor")(image_processor=images, tokenizer=tokenizer)
    return getattr(transformers, f"{name}ForObjectDetection")(config), processor


def grounding_dino():
    """(model, processor); BERT's marks have the numbers that the model knows them by."""
    entries = [f"[unused{i}]" for i in range(1100)]
    entries[0], entries[100:104], entries[1012], entries[1029] = (
        "[PAD]",
        ["[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        ".",
        "?",
    )
    entries[1030 : 1030 + 52] = [*ascii_lowercase, *(f"##{letter}" for letter in ascii_lowercase)]
    tokenizer = transformers.BertTokenizer(vocab={entry: i for i, entry in enumerate(entries)})
    swin = transformers.SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
        out_indices=[2, 3, 4],
    )  # fmt: skip
    bert = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.GroundingDinoConfig(
        backbone_config=swin, text_config=bert | {"vocab_size": 1100, "model_type": "bert"}, num_queries=9, d_model=32,
        encoder_layers=1, decoder_layers=2, encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2,
        decoder_attention_heads=2, num_feature_levels=4, encoder_n_points=2, decoder_n_points=2, query_dim=4,
    )  # fmt: skip
    images = transformers.GroundingDinoImageProcessor(size={"height": 64, "width": 64})
    processor = transformers.GroundingDinoProcessor(image_processor=images, tokenizer=tokenizer)
    return transformers.GroundingDinoForObjectDetection(config), processor


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    """As published: configuration, safetensors, tokenizer and preprocessor."""
    path = tmp_path_factory.mktemp(request.param)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model, processor = grounding_dino() if request.param == "grounding-dino" else owl(request.param)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "box" in name and weight.ndim > 1:  # freshly made, all boxes are alike
                    weight.normal_(0, 0.4)
                if "logit_s" in name:  # and all scores 0 or 1
                    weight *= 0.1
    model.save_pretrained(path)
    processor.save_pretrained(path)
    assert (path / "model.safetensors").is_file()
    return path


@pytest.fixture
def detector(folder):
    return loaded(folder)


@cache
def loaded(folder):
    return load_detector(folder)


@cache
def picture(width=60, height=40):
    """Noise; not square, so that a swapped axis shows."""
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_scores_and_boxes_are_those_of_transformers(detector):
    scores, boxes = detector.score_candidates(picture(), WORDS)
    kind = detector.model.config.model_type
    text = (
        "dog. old frog. bell."
        if kind == "grounding-dino"
        else [["a photo of a dog", "a photo of an old frog", "a photo of a bell"]]
    )
    inputs = detector.processor(images=picture(), text=text, return_tensors="pt")
    with torch.no_grad():
        seen = detector.model(**inputs)
    ids = {"input_ids": inputs["input_ids"]} if kind == "grounding-dino" else {}
    (expected,) = detector.processor.post_process_grounded_object_detection(
        seen, threshold=0.0, target_sizes=[(40, 60)], **ids
    )
    torch.testing.assert_close(boxes * torch.tensor([60, 40, 60, 40]), expected["boxes"], atol=1e-4, rtol=1e-4)
    assert scores.shape == (len(boxes), 3) and boxes.std(0).min() > 0.01
    if kind == "grounding-dino":  # whose scores are of any token, marks too
        tokens = detector.processor.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
        assert tokens[4:12] == [".", "o", "##l", "##d", "f", "##r", "##o", "##g"]
        torch.testing.assert_close(scores[:, 1], seen.logits[0].sigmoid()[:, 5:12].amax(1))
    else:
        torch.testing.assert_close(scores.max(1).values, expected["scores"])
        assert scores.argmax(1).equal(expected["labels"])


def test_detections_are_labelled_with_the_given_words(detector):
    low = Detector(detector.model, detector.processor, threshold=0.0, overlap=1.0)
    (seen, none, again) = low([picture(), picture(), picture()], [[*WORDS, "dog"], [], ["Bell. Old?"]])
    assert (
        none == [] and {each.label for each in seen} <= set(WORDS) and {each.label for each in again} == {"Bell. Old?"}
    )
    assert [each.score for each in seen] == sorted((each.score for each in seen), reverse=True)
    scores, boxes = low.score_candidates(picture(), WORDS)
    inside = boxes.clamp(0, 1)
    there = [i for i in scores.max(1).values.argsort(descending=True) if (inside[i, 2:] > inside[i, :2]).all()]
    assert len(there) > 2 and [each.label for each in seen] == [WORDS[scores[i].argmax()] for i in there]
    assert [each.box for each in seen] == [tuple(inside[i].tolist()) for i in there]
    x0, y0, x1, y1 = seen[0].box
    assert seen[0].score == float(scores[there[0]].max()) and seen[0].centre == ((x0 + x1) / 2, (y0 + y1) / 2)
    assert all(0 <= edge <= 1 for each in seen for edge in each.box) and all(0 < each.area <= 1 for each in seen)


def test_a_threshold_keeps_high_scores(detector):
    scores, _ = detector.score_candidates(picture(), WORDS)
    between = float(scores.max(1).values.median())
    chosen = Detector(detector.model, detector.processor, between, overlap=1.0)
    (seen,) = chosen([picture()], [WORDS])
    assert seen and all(each.score > between for each in seen) and len(seen) < len(scores)
    assert Detector(detector.model, detector.processor, 1.0)([picture()], [WORDS]) == [[]]


def test_overlapping_boxes_of_a_word_are_suppressed():
    def at(x, score, label="dog"):
        return Detection(label, (x + 0.2, 0.5), (x, 0.1, x + 0.4, 0.9), 0.32, score)

    first, near, far, other = at(0.1, 0.6), at(0.15, 0.9), at(0.5, 0.3), at(0.16, 0.5, "cat")
    assert suppress_overlaps([first, near, far, other]) == [near, other, far]  # overlaps 0.78, 0.07 and another word
    assert suppress_overlaps([first, near, far, other], overlap=0.8) == [near, first, other, far]


def test_folders_without_a_detector_are_refused(tmp_path, folder):
    with pytest.raises(GuidanceError, match="there is no such folder; give a folder or hub id of OWLv2"):
        load_detector(tmp_path / "none")
    with pytest.raises(GuidanceError, match=r"holds no config\.json"):
        load_detector(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(GuidanceError, match="it is a model of the kind bert; give"):
        load_detector(tmp_path)
    theirs = {"model_type": "theirs", "auto_map": {"AutoConfig": "code.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    (tmp_path / "code.py").write_text("raise SystemExit('ran')")
    with pytest.raises(GuidanceError, match="Cannot load the detector"):
        load_detector(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(GuidanceError, match="Cannot load the detector"):
        load_detector(tmp_path)


def test_words_that_cannot_be_searched_for_are_refused(detector):
    with pytest.raises(GuidanceError, match="expected them for 1"):
        detector([picture()], [])
    if detector.model.config.model_type == "grounding-dino":
        with pytest.raises(GuidanceError, match="words that cannot be searched for"):
            detector([picture()], [["dog", "..."]])


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ((0.0, 0.4, 0.2, 0.6), (0.7, 0.4, 0.9, 0.6), {"left"}),
        ((0.7, 0.4, 0.9, 0.6), (0.0, 0.4, 0.2, 0.6), {"right"}),
        ((0.4, 0.0, 0.6, 0.2), (0.4, 0.6, 0.6, 0.9), {"above"}),
        ((0.6, 0.7, 0.8, 0.9), (0.0, 0.1, 0.2, 0.3), {"right", "below"}),
        ((0.1, 0.1, 0.7, 0.7), (0.2, 0.1, 0.8, 0.7), set()),  # 0.1 apart, within a tenth of both widths
        ((0.0, 0.0, 1.0, 1.0), (0.3, 0.0, 1.0, 1.0), set()),  # 0.15 apart, less than 0.17
        ((0.1, 0.1, 0.5, 0.5), (0.1, 0.1, 0.5, 0.5), set()),
        ((0.0, 0.1, 0.2, 0.3), (0.3, 0.7, 0.5, 0.9), {"above"}),  # 0.26 of 0.67 across says nothing, 0.56 down does
    ],
)
def test_geneval_wants_a_clear_place(a, b, found):
    assert geneval_relations(a, b) == found


def test_geneval_of_pairs():
    dog = Detection("dog", (0.1, 0.5), (0.0, 0.4, 0.2, 0.6), 0.04)
    near, cat = (
        Detection("cat", (0.12, 0.5), (0.02, 0.4, 0.22, 0.6)),
        Detection("cat", (0.8, 0.5), (0.7, 0.4, 0.9, 0.6)),
    )
    scores = geneval([(dog, cat, "left"), (dog, near, "left"), (dog, None, "left"), (cat, dog, "left")])
    assert (scores.two_object, scores.position) == (0.75, 0.25)
    with pytest.warns(UserWarning, match="nothing to score"):
        assert geneval([]).position == 0


@pytest.mark.slow
def test_the_benchmark_uses_it(folder, tmp_path):
    from experiments.benchmarks.cases import Case
    from experiments.benchmarks.detection import NO_PAIRS, load_detect, score_pairs
    from experiments.benchmarks.placement import bench_placement

    if folder.name.startswith("grounding"):
        text = bench_placement(
            n=1, singles=1, methods=["none"], controls=[], steps=1, detector=str(folder), out=tmp_path
        )
        head, _, single, pair = [[cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines()]
        at = head.index("VISOR %")
        assert single[at : at + 4] == [""] * 4 and all(pair[at : at + 4]) and head.index("GenEval position %") == at + 3
        assert pair[head.index("CLIP score")] == ""  # no judge knows these pictures
    seen, sure = load_detect(str(folder))([picture()] * 2, [Case(("dog",), (0.0,), (0.0,), 0)] * 2)
    assert len(seen) == 2 and {each.label for each in seen[0]} <= {"dog"} and 0 <= sure <= 1
    wanted = [Region((0.6, 0.2, 0.9, 0.8), (1,), "dog"), Region((0.1, 0.2, 0.4, 0.8), (2,), "cat")]
    dog, cat = (Detection(each.label, each.centre, each.box, 0.2) for each in wanted)
    swapped = [Detection("dog", cat.centre, cat.box, 0.2), Detection("cat", dog.centre, dog.box, 0.2)]
    pairs = score_pairs([wanted] * 5, [[dog, cat], [cat, dog], swapped, [dog], []])
    assert (pairs.visor, pairs.visor_conditional, pairs.geneval_two, pairs.geneval_position) == (0.4, 2 / 3, 0.6, 0.4)
    assert score_pairs([wanted[:1]], [[dog]]) is NO_PAIRS
