"""Sounds in a text: where they stand, what the text encoder reads, and what is left as it was."""

import pytest
import torch

from audiotoken.debug import WIDTH, debug_text_encoder, debug_tokenizer
from audiotoken.errors import PromptError
from audiotoken.placeholder import PLACEHOLDER
from audiotoken.prompt import (
    encode_prompt,
    encode_prompts,
    find_word_positions,
    inject,
    parse_sound_weights,
    tokenize_prompt,
)

TEXTS = ("", "a photo of a dog", "Two  dogs,\tand 1 cat!", "x" * 200)


@pytest.fixture(scope="module", params=["<|endoftext|>", "!"], ids=["sd1", "sd2"])
def tokenizer(request):
    return debug_tokenizer(request.param)


@pytest.fixture(scope="module")
def text_encoder(tokenizer):
    return debug_text_encoder(tokenizer)


@pytest.fixture
def sounds():
    return torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("text", TEXTS)
def test_plain_text_is_the_tokenizer_s_own(text, tokenizer, text_encoder):
    ids, positions = tokenize_prompt(text, tokenizer)
    expected = tokenizer(text, padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert ids == expected[0].tolist() and positions == ()
    prompt = encode_prompt(text, [], tokenizer, text_encoder)
    torch.testing.assert_close(prompt.embeddings, text_encoder(expected)[0], rtol=0, atol=0)


def test_an_embedding_of_the_table_injected_is_the_word_itself(tokenizer, text_encoder):
    plain = encode_prompt("a photo of z and k", [], tokenizer, text_encoder)
    table = text_encoder.get_input_embeddings().weight
    z, k = (tokenizer(letter, add_special_tokens=False).input_ids[0] for letter in "zk")
    heard = encode_prompt("a photo of <audio> and <audio>", table[[z, k]], tokenizer, text_encoder)
    torch.testing.assert_close(heard.embeddings, plain.embeddings)
    assert heard.positions == (
        find_word_positions(plain.text, "z", tokenizer),
        find_word_positions(plain.text, "k", tokenizer),
    )


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("<audio>", ((1,),)),
        ("photo<audio>photo", ((2,),)),
        ("<audio><audio> photo <audio>", ((1,), (2,), (4,))),
    ],
)
def test_a_sound_stands_anywhere(text, positions, tokenizer, text_encoder, sounds):
    assert encode_prompt(text, sounds[: len(positions)], tokenizer, text_encoder).positions == positions


def test_a_sound_of_several_vectors_moves_what_follows(tokenizer, text_encoder, sounds):
    text = "<audio> photo <audio>"
    prompt = encode_prompt(text, [sounds[:2], sounds[2]], tokenizer, text_encoder)
    assert prompt.positions == ((1, 2), (4,))
    assert find_word_positions(text, "photo", tokenizer, lengths=[2, 1]) == (3,)
    one_each = encode_prompt("<audio><audio> photo <audio>", sounds, tokenizer, text_encoder)
    torch.testing.assert_close(prompt.embeddings, one_each.embeddings)


def test_a_batch_equals_singles(tokenizer, text_encoder, sounds):
    texts, tokens = ["a photo of <audio>", "a cat", "<audio> or <audio>"], [sounds[:1], [], sounds[1:]]
    together, positions = encode_prompts(texts, tokens, tokenizer, text_encoder)
    for i, (text, each) in enumerate(zip(texts, tokens, strict=True)):
        alone = encode_prompt(text, each, tokenizer, text_encoder)
        torch.testing.assert_close(together[i : i + 1], alone.embeddings)
        assert positions[i] == alone.positions


def test_gradients_reach_each_sound_and_not_the_table_row_it_covers(tokenizer, text_encoder, sounds):
    sounds.requires_grad_(True)
    table = text_encoder.get_input_embeddings().weight
    prompt = encode_prompt("<audio> photo <audio> of <audio>", sounds, tokenizer, text_encoder)
    (by_sound, by_table) = torch.autograd.grad(prompt.embeddings.square().sum(), [sounds, table])
    assert (by_sound.abs().sum(-1) > 0).all()
    ids, positions = tokenize_prompt(prompt.text, tokenizer)
    assert by_table[ids[positions[0][0]]].abs().sum() == 0


def test_tokenizer_and_table_stay_as_they_were(tokenizer, text_encoder, sounds):
    table = text_encoder.get_input_embeddings()
    before = (len(tokenizer), table.weight.clone(), set(tokenizer.get_vocab()))
    encode_prompt("a photo of <audio>", sounds[:1], tokenizer, text_encoder)
    assert (len(tokenizer), set(tokenizer.get_vocab())) == (before[0], before[2])
    assert text_encoder.get_input_embeddings() is table and torch.equal(table.weight, before[1])
    assert not table._forward_hooks


def test_the_hook_is_gone_after_an_error(tokenizer, text_encoder, sounds):
    with pytest.raises(PromptError, match="33 wide, the text encoder reads 32"):
        encode_prompt("<audio>", torch.zeros(1, WIDTH + 1), tokenizer, text_encoder)
    with pytest.raises(KeyboardInterrupt), inject(text_encoder, [((1,),)], [sounds[0]]):
        raise KeyboardInterrupt
    assert not text_encoder.get_input_embeddings()._forward_hooks


@pytest.mark.parametrize(("text", "count"), [("a dog", 1), ("<audio>", 0), ("<audio> <audio>", 3), ("<audio>", 2)])
def test_as_many_sounds_as_places(text, count, tokenizer, text_encoder, sounds):
    with pytest.raises(PromptError, match=rf"has {text.count(PLACEHOLDER) or 'no'} <audio> but got {count} sounds?"):
        encode_prompt(text, sounds[:count], tokenizer, text_encoder)


def test_a_sound_is_never_cut_off(tokenizer, text_encoder, sounds):
    last = "photo " * 74 + "<audio>"
    assert encode_prompt(last, sounds[:1], tokenizer, text_encoder).positions == ((75,),)
    assert encode_prompt(last + " photo" * 9, sounds[:1], tokenizer, text_encoder).positions == ((75,),)
    with pytest.raises(PromptError, match="be at token 76, but a prompt has only 77 tokens including its end"):
        encode_prompt("photo " + last, sounds[:1], tokenizer, text_encoder)


def test_words_have_positions(tokenizer):
    assert find_word_positions("a photo of dog", "dog", tokenizer) == (5, 6, 7)  # a, photo, o, f, then d o g
    assert find_word_positions("photo <audio> photo", "photo", tokenizer) == (1,)
    assert find_word_positions("a z", "z", tokenizer) == (2,)  # the last word before the end
    with pytest.raises(PromptError, match="does not contain 'cat'"):
        find_word_positions("a dog", "cat", tokenizer)


def test_neither_a_sound_nor_the_padding_is_a_word(tokenizer):
    first = tokenizer.convert_ids_to_tokens(tokenize_prompt("<audio>", tokenizer)[0][1])  # the id in the sound's place
    for word in (f"{first}b", "!"):  # "!" is what SD 2 pads with
        with pytest.raises(PromptError, match="does not contain"):
            find_word_positions("<audio>b", word, tokenizer)


def test_weights_are_read_where_they_are_written():
    assert parse_sound_weights("a (<audio>:1.3), <audio> (loud:2) and ( <audio> : .5 ) (<audio>)") == [1.3, 1, 0.5, 1]
    assert parse_sound_weights("a (dog:1.3)") == []


@pytest.mark.parametrize("weight", ["", "loud", "-1", "10.5", "nan", "inf", "1,3", "1.3x", "1:2"])
def test_what_is_no_weight_is_refused(weight, tokenizer, text_encoder, sounds):
    with pytest.raises(PromptError, match=r"^Got '\(<audio>:.*' in the prompt, expected a weight from 0 to 10"):
        encode_prompt(f"a (<audio>:{weight}) here", sounds[:1], tokenizer, text_encoder)


def test_a_weight_without_its_end_is_refused(tokenizer, text_encoder, sounds):
    with pytest.raises(PromptError, match=r"Got '\(<audio>:1.3' in the prompt"):
        encode_prompt("a (<audio>:1.3", sounds[:1], tokenizer, text_encoder)


def test_a_weight_is_no_word_of_the_prompt(tokenizer, text_encoder, sounds):
    weighed, plain = "photo (<audio>:2) photo k", "photo <audio> photo k"
    assert tokenize_prompt(weighed, tokenizer) == tokenize_prompt(plain, tokenizer)
    assert find_word_positions(weighed, "k", tokenizer) == (4,)
    heavy, light = (encode_prompt(text, sounds[:1], tokenizer, text_encoder) for text in (weighed, plain))
    empty = encode_prompt("", [], tokenizer, text_encoder).embeddings
    expected = light.embeddings.clone()
    expected[:, 2] = empty[:, 2] + 2 * (light.embeddings - empty)[:, 2]
    torch.testing.assert_close(heavy.embeddings, expected)


def test_gradients_pass_a_weight(tokenizer, text_encoder, sounds):
    sounds.requires_grad_(True)
    for weight, reached in (("0", False), ("2", True)):
        prompt = encode_prompt(f"(<audio>:{weight})", sounds[:1], tokenizer, text_encoder)
        (gradient,) = torch.autograd.grad(prompt.embeddings[0, 1].square().sum(), sounds)
        assert (gradient[0].abs().sum() > 0) == reached
