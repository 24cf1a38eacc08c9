"""The strict judge counts whole things, names them and says where they are."""

import numpy as np
import pytest
import torch
from PIL import Image

from audiotoken.errors import CheckpointError
from audiotoken.mini.object_detector import SIDE
from audiotoken.mini.strict_judge import (
    NO_BACKDROP,
    NOTHING,
    SPOILT,
    Marks,
    StrictJudge,
    Verdict,
    WholeThing,
    find_things,
    judge,
    judge_pictures,
    load_judge,
    save_judge,
)
from audiotoken.mini.things import WORDS

FROG, DOG = WORDS.index("frog"), WORDS.index("dog")


def centres_of(*places):
    """Certain centres (25, 16, 16): a kind and its cells (rows, columns) each."""
    kinds = torch.full((16, 16), NOTHING)
    for kind, rows, columns in places:
        kinds[rows, columns] = kind
    return torch.nn.functional.one_hot(kinds, NOTHING + 1).permute(2, 0, 1).float()


def test_things_are_counted_apart_and_found_where_they_are():
    marks = centres_of((FROG, slice(2, 4), slice(10, 13)), (FROG, slice(9, 10), 3), (DOG, slice(5, 6), slice(0, 2)))
    things = find_things(marks.numpy(), 0.5)
    assert sorted(thing.word for thing in things) == ["dog", "frog", "frog"]
    low, high = sorted(thing.centre for thing in things if thing.word == "frog")
    assert low == pytest.approx((3.5 / 16, 9.5 / 16)) and high == pytest.approx((11.5 / 16, 3 / 16))
    assert find_things(0.6 * marks.numpy(), 0.7) == ()


def test_a_verdict_is_strict():
    one = WholeThing("frog", (0.5, 0.5), 0.9)
    alone, two = Verdict((one,), 0.0, "meadow"), Verdict((one, WholeThing("dog", (0.2, 0.5), 0.8)), 0.0, None)
    assert alone.names("frog") and alone.is_one("frog") and not alone.names("dog")
    assert two.names("frog") and not two.is_one("frog") and two.find("dog").centre == (0.2, 0.5)
    assert not Verdict((one,), 0.1, None).is_one("frog") and not Verdict((), 0.0, None).names("frog")


def test_spoilt_cells_and_backdrops_are_told():
    class Fixed(torch.nn.Module):
        threshold = 0.5

        def forward(self, images):
            cells = torch.zeros(len(images), SPOILT + 1, 16, 16)
            cells[:, SPOILT, :4] = 9
            backdrops = torch.zeros(len(images), NO_BACKDROP + 1)
            backdrops[0, 3], backdrops[1, NO_BACKDROP] = 5, 5
            return Marks(10 * centres_of((FROG, 8, 8)).expand(len(images), -1, -1, -1), cells, backdrops)

    first, second = judge(torch.zeros(2, 3, SIDE, SIDE), Fixed())
    assert (first.backdrop, second.backdrop) == ("meadow", None)
    assert first.spoilt == 0.25 and first.names("frog") and not (first.accepts("frog") or first.is_one("frog"))


def test_a_saved_judge_is_the_same_with_its_threshold(tmp_path):
    torch.manual_seed(0)
    model = StrictJudge().half().float().eval()
    save_judge(model.state_dict(), 0.4321, tmp_path)
    again = load_judge(tmp_path)
    images = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    assert again.threshold == 0.4321 and torch.equal(model(images).centres, again(images).centres)
    pictures = [Image.fromarray(np.zeros((64, 64, 3), np.uint8))] * 2
    assert len(judge_pictures(pictures, again)) == 2 and judge_pictures([], again) == []


def test_a_folder_without_a_judge_is_a_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="train_judge"):
        load_judge(tmp_path)
