"""The tokens at a word's positions spell the word: any script, any side of padding, words that stand elsewhere, too."""

import itertools
import re
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer, T5Tokenizer

from audiotoken.debug import debug_pipeline
from audiotoken.debug_parts import CHAT, TEMPLATE
from audiotoken.debug_transformers import TRANSFORMERS, debug_joint_pipeline
from audiotoken.errors import PromptError
from audiotoken.stereo.words import find_subject_words
from audiotoken.whole_words import find_whole_words

WORDS = (
    *("dog", "Dog", "frog", "megaphone", "phone", "vacuum cleaner", "C++", "rock'n'roll", "x", "user", "ok", "système"),
    *("كلب", "קוֹל", "狗", "かえる", "कुत्ता", "🐸", "👩‍🚒", "F-16", "assistant", "im_start"),
)
LINKS = (" and ", ", ", " (loud) ", ": ", "  ", '"', "\n", " — ", "; a photo of a ", " <b>", "{}", "%s ", "的")
TEXTS = WORDS + LINKS


def draw_text(rng) -> str:
    """Words and what stands between them."""
    count = int(rng.integers(1, 7))
    parts = [part for _ in range(count) for part in (rng.choice(WORDS), rng.choice(LINKS))]
    return "".join(parts[: len(parts) - int(rng.integers(2))])


def clip_tokenizer() -> CLIPTokenizer:
    """Bytes, as the published one; a word that ends in another, "megaphone", is split before it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("p", "h"), ("ph", "o"), ("pho", "n"), ("phon", "e</w>"), ("s", "o"), ("so", "u"), ("sou", "n")]
    merges += [("soun", "d</w>")]
    entries = [*alphabet, *(f"{each}</w>" for each in alphabet), *("".join(pair) for pair in merges)]
    vocab = {entry: i for i, entry in enumerate([*entries, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocab, merges=merges, pad_token="<|endoftext|>", model_max_length=77)


def t5_tokenizer() -> T5Tokenizer:
    """Every character of the texts, and a few words; as in the published one, "x" is two tokens."""
    letters = sorted(set("".join(TEXTS)) - set(" \n") | {"▁"})
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), *((letter, -5.0) for letter in letters)]
    return T5Tokenizer(vocab=[*pieces, ("▁dog", -2.0), ("▁a", -2.0), ("phone", -2.0), ("▁sound", -2.0)], extra_ids=0)


def equip(pipe) -> None:
    """Give a pipeline tokenizers that can spell all texts; its text encoders grow with them."""
    for name in ("tokenizer", "tokenizer_2", "tokenizer_3"):
        part = getattr(pipe, name, None)
        make = {"CLIPTokenizer": clip_tokenizer, "T5Tokenizer": t5_tokenizer}.get(type(part).__name__)
        if make is not None:
            tokenizer, encoder = make(), getattr(pipe, name.replace("tokenizer", "text_encoder"))
            pipe.register_modules(**{name: tokenizer})
            encoder.resize_token_embeddings(len(tokenizer))
            encoder.config.eos_token_id = tokenizer.eos_token_id


@contextmanager
def read_ids(pipe):
    """What each text encoder reads: {name: (ids, which are no padding)}, each (tokens,)."""
    seen, hooks = {}, []
    for name in ("text_encoder", "text_encoder_2", "text_encoder_3"):
        if getattr(pipe, name, None) is None:
            continue

        def note(module, args, kwargs, name=name):
            ids = args[0] if args else kwargs["input_ids"]
            mask = kwargs.get("attention_mask")
            seen[name] = ids[0], torch.ones_like(ids[0]) if mask is None else mask[0]

        hooks.append(getattr(pipe, name).register_forward_pre_hook(note, with_kwargs=True))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def encode_and_read(pipe, kind: str, text: str):
    """(the prompt, [(tokenizer, ids that the denoiser attends to, where the first stands)])."""
    with read_ids(pipe) as seen:
        (prompt,) = pipe.encode_prompts(text)
    ids, mask = seen["text_encoder"]
    if kind in ("qwen", "z_image"):  # without padding, and the first of Qwen-Image's template
        start = pipe.prompt_template_encode_start_idx if kind == "qwen" else 0
        return prompt, [(pipe.tokenizer, ids[mask.bool()][start:], 0)]
    if kind == "flux":
        return prompt, [(pipe.tokenizer_2, seen["text_encoder_2"][0], 0)]
    rows = [(pipe.tokenizer, ids, 0)]
    if kind == "sd3":
        rows.append((pipe.tokenizer_3, seen["text_encoder_3"][0], len(ids)))
    return prompt, rows


def spell(tokenizer, ids) -> str:
    """As T5's normalisation and CLIP's small letters would write it, without spaces."""
    return re.sub(r"\s", "", tokenizer.decode(ids)).lower()


# CLIP's published tokenizers pad on the right; those of T5 and Qwen may do either
CASES = [("sd1", "right"), *itertools.product(TRANSFORMERS, ("right", "left"))]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def kind(case):
    return case[0]


@pytest.fixture(scope="module")
def pipe(case):
    kind, padding = case
    pipe = debug_pipeline() if kind == "sd1" else debug_joint_pipeline(kind)
    equip(pipe)
    tokenizers = (getattr(pipe, name, None) for name in ("tokenizer", "tokenizer_2", "tokenizer_3"))
    for tokenizer in tokenizers:
        if tokenizer is not None and not isinstance(tokenizer, CLIPTokenizer):
            tokenizer.padding_side = padding
    pipe.default_words = 200
    if kind == "sd3":
        pipe.register_to_config(max_sequence_length=200)
    return pipe


def test_the_tokens_of_a_word_spell_it(pipe, kind, case):
    rng = np.random.default_rng(CASES.index(case))
    found = 0
    for _ in range(12):
        text = draw_text(rng)
        prompt, rows = encode_and_read(pipe, kind, text)
        for word in {*WORDS} & {word for word in WORDS if find_whole_words(text, word)}:
            for nth in range(len(find_whole_words(text, word))):
                try:
                    positions = pipe.find_word(prompt, word, nth)
                except PromptError as error:
                    assert "shorten" in str(error) and len(text) > 20, text
                    continue
                spelt = [
                    spell(tokenizer, ids[[at - start for at in positions if start <= at < start + len(ids)]])
                    for tokenizer, ids, start in rows
                ]
                assert set(filter(None, spelt)) == {re.sub(r"\s", "", word).lower()}, (text, word, nth, spelt)
                found += 1
    assert found > 12


def test_a_learned_token_is_read_where_it_stands(pipe, kind):
    """Encoders that read from left to right change nothing before it."""
    generator = torch.Generator().manual_seed(1)
    sounds = torch.randn(2, 1, pipe.token_width, generator=generator)
    text = "كلب and a frog beside <audio>, (loud)"
    first, second = (pipe.encode_prompts(text, sounds[i : i + 1])[0] for i in range(2))
    changed = (first.embeddings - second.embeddings).abs().amax(-1)[0]
    assert first.positions == second.positions
    assert all(changed[at] > 0 for at in first.positions[0])
    if kind in ("flux2", "flux2_dev", "qwen", "z_image", "sd1"):
        assert changed[: first.positions[0][0]].max() == 0


@pytest.mark.parametrize(
    ("text", "word", "found"),
    [
        ("a car, a scarf and a Car!", "car", [(2, 5), (21, 24)]),
        ("a vacuum\n cleaner", "vacuum cleaner", [(2, 17)]),
        ("一只狗和一只青蛙", "狗", [(2, 3)]),
        ("कुत्ता और कुत्ते", "कुत्ता", [(0, 6)]),
        ("कुत्ता", "कुत", []),
        ("dogs", "dog", []),
        ("a dog-house", "dog", [(2, 5)]),
        ("می‌خواهم", "خواهم", []),
        ("anything", "  ", []),
    ],
)
def test_words_are_whole_where_a_script_has_spaces(text, word, found):
    assert find_whole_words(text, word) == found


def test_a_word_of_a_plan_is_its_own_mention():
    """Also where the same word stands before it as a part of something else, or as a placeholder."""
    words = find_subject_words("Audio of a bank robber by a bank, with <audio> and audio, a Dog and a dog")
    assert [(word.text, word.nth) for word in words] == [
        *(("Audio", 0), ("robber", 0), ("bank", 1), ("audio", 1), ("Dog", 0), ("dog", 1))
    ]
    assert [word.text for word in find_subject_words("एक कुत्ता, كَلْب")] == ["कुत्ता", "كَلْب"]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a photo of a tom's dog", ["dog"]),
        ("tom’s 'frog' and “a bell”", ["frog", "bell"]),
        ("the dogs' bell", ["bell"]),
        ('"dog" bell', ["dog", "bell"]),
        ("dog & bell+drum/[frog] {bird}|wave", ["dog", "bell", "drum", "frog", "bird", "wave"]),
        ("a unicorn left, a bell right", ["unicorn", "bell"]),
        ('a big "frog" and a green [bell]', ["frog", "bell"]),
        ("«a frog» “a bell” „a cat“ frog*bell", ["frog", "bell", "cat", "frog", "bell"]),
        ("a frog on the left side", ["frog"]),
    ],
)
def test_quotes_signs_and_sides_part_words(prompt, words):
    assert [word.text for word in find_subject_words(prompt)] == words


def test_templates_hold_words_that_prompts_hold():
    """So that the words above stand in them: "user", "assistant", "ok"."""
    assert "user" in TEMPLATE and "assistant" in CHAT and "ok" in TEMPLATE
