"""The small judges that ship with the package: they read as the big ones do, and know the painted world."""

import numpy as np
import pytest
import torch
from PIL import Image

from audiotoken.clip import load_clip, load_features
from audiotoken.errors import CheckpointError
from audiotoken.evaluation.clips import collect_examples
from audiotoken.evaluation.judges import load_painted_reference
from audiotoken.mini.things import AUDIBLE_WORDS, WORDS
from audiotoken.wav2clip import load_wav2clip


@pytest.fixture(scope="module")
def clip():
    return load_clip("mini")


def test_words_find_painted_scenes(clip):
    """Scenes that trained nothing, as CLIP saw them when the package was made; chance is 4 %."""
    from audiotoken.evaluation.clips import Example

    examples = [Example("", (np.zeros(1), 1), word, word) for word in WORDS for _ in range(8)]
    reference = load_painted_reference(examples)
    assert reference is not None and reference.clip.shape == (192, 64)
    nearest = (reference.clip @ clip.embed_classes(WORDS).T).argmax(1)
    assert (nearest == np.repeat(np.arange(24), 8)).mean() >= 0.9


def test_clip_and_wav2clip_share_a_space(clip):
    """Two trainings that do not belong together agree on nothing: sounds are near the painted scenes of their word."""
    from audiotoken.evaluation.clips import Example

    examples = collect_examples("synthetic", 16)
    painted_too = load_painted_reference([Example("", (np.zeros(1), 1), each.word, each.word) for each in examples])
    heard = load_wav2clip("mini").embed([each.load_signal(16_000) for each in examples])
    scores = heard @ painted_too.clip.T
    assert np.diag(scores).mean() > scores.mean() + 0.2


def test_sounds_find_their_words(clip):
    """Synthesised clips of seeds that trained nothing, among 16 words; chance is 6 %."""
    examples = collect_examples("synthetic", 32)
    heard = load_wav2clip("mini").embed([each.load_signal(16_000) for each in examples])
    nearest = (heard @ clip.embed_classes(AUDIBLE_WORDS).T).argmax(1)
    assert (nearest == [AUDIBLE_WORDS.index(each.word) for each in examples]).mean() > 0.8


def test_embeddings_equal_those_of_transformers(clip):
    """The same numbers by transformers' own classes, from the same folder."""
    from importlib.resources import files

    from transformers import CLIPModel, CLIPTokenizer

    folder = str(files("audiotoken.mini") / "clip")
    model, tokenizer = CLIPModel.from_pretrained(folder, dtype=torch.float32), CLIPTokenizer.from_pretrained(folder)
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    mean, std = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])  # Radford et al. 2021
    pixels = torch.from_numpy(((array / 255 - mean) / std).astype(np.float32)).permute(2, 0, 1)[None]
    tokens = tokenizer(["a photo of a dog"], return_tensors="pt")
    with torch.no_grad():
        output = model(pixel_values=pixels, **tokens)
    assert clip.embed_images([Image.fromarray(array)])[0] == pytest.approx(output.image_embeds[0].numpy(), abs=1e-4)
    assert clip.embed_texts(["a photo of a dog"])[0] == pytest.approx(output.text_embeds[0].numpy(), abs=1e-5)


def test_embeddings_do_not_depend_on_the_batch(clip):
    rng = np.random.default_rng(1)
    images = [Image.fromarray(rng.integers(0, 256, (h, 90, 3), dtype=np.uint8)) for h in (60, 90, 140)]
    assert clip.embed_images(images)[2] == pytest.approx(clip.embed_images(images[2:])[0], abs=1e-5)
    texts = ["a dog", "a photo of a crying baby at night"]
    assert clip.embed_texts(texts)[0] == pytest.approx(clip.embed_texts(texts[:1])[0], abs=1e-5)
    assert np.linalg.norm(clip.embed_texts(texts), axis=1) == pytest.approx(1)
    assert clip.embed_texts(["word " * 200]).shape == (1, 64)


def test_classes_are_sentences_with_their_articles(clip):
    assert np.allclose(clip.embed_classes(["airplane", "crying_baby", "rain"]), clip.embed_texts(
        ["a photo of an airplane", "a photo of a crying baby", "a photo of rain"]))  # fmt: skip


def test_any_image_model_gives_features(tmp_path):
    from transformers import ViTConfig, ViTModel
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16
    )
    ViTModel(config).save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    features = load_features(tmp_path)([Image.new("RGB", (40, 50), c) for c in ("red", "blue")])
    assert features.shape == (2, 16) and not np.allclose(features[0], features[1])


@pytest.mark.parametrize("load", [load_clip, load_features])
def test_other_models_are_refused(load, tmp_path):
    with pytest.raises(CheckpointError, match="there is no such folder, and it is not a hub id"):
        load("nowhere")
    (tmp_path / "config.json").write_text('{"model_type": "clap"}')
    with pytest.raises(CheckpointError, match="Cannot load"):
        load(tmp_path)


def test_mini_judges_are_small():
    from importlib.resources import files

    folder = files("audiotoken.mini")
    sizes = [path.stat().st_size for part in ("clip", "wav2clip") for path in (folder / part).iterdir()]
    assert sum(sizes) < 15e6
