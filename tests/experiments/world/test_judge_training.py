"""What the strict judge learns from: spoilt things are spoilt, and the truth is about what the picture shows."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from audiotoken.mini.strict_judge import HEADS, NO_BACKDROP, NOTHING, SPOILT, Marks, Verdict, WholeThing
from audiotoken.mini.things import WORDS
from experiments.world.scenes import MASK
from experiments.world.training import spoil as ways
from experiments.world.training.judge_scenes import IGNORE, JudgeScenes, label_cells
from experiments.world.training.train_judge import compute_losses, find_threshold, score_scene


@pytest.fixture(scope="module")
def drawings(atlas):
    """Faces without symmetry: two eyes of different colour in an ellipse."""
    images = load_file(atlas)["images"].float() / 255
    images[:, 0, 30:45, 20:40] = images[:, 3, 30:45, 20:40]
    images[:, 2, 40:60, 60:75] = 0
    return images


@pytest.fixture
def painted_scenes(painter, drawings, tmp_path):
    save_file({"images": (drawings * 255).byte(), "kinds": torch.arange(len(WORDS))}, tmp_path / "judge.safetensors")
    return JudgeScenes(painter, tmp_path / "judge.safetensors")


@pytest.mark.parametrize("way", sorted(set(ways.WAYS), key=lambda way: way.__name__), ids=lambda way: way.__name__)
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_every_way_changes_every_drawing_and_keeps_its_colours_in_range(way, strength, drawings):
    some = drawings[:6]
    spoilt = way(some, torch.full((6,), strength), torch.Generator().manual_seed(0))
    assert spoilt.shape == some.shape and spoilt.min() >= 0 and spoilt.max() <= 1 + 1e-6
    assert ((spoilt - some).abs().mean((1, 2, 3)) > 0.005).all()  # what does nothing changes 0


def test_the_same_seed_spoils_in_the_same_way(drawings):
    strength = torch.full((24,), 0.5)
    one, two = (ways.spoil(drawings, strength, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two) and ((one - drawings).abs().mean((1, 2, 3)) > 0.01).all()


def test_only_whole_things_have_a_centre_and_it_is_on_them(painted_scenes):
    good, bad = (painted_scenes.paint(12, 7, bad=share) for share in (0.0, 1.0))
    assert ((good.centres >= 0) & (good.centres < NOTHING)).flatten(1).any(1).float().mean() > 0.9
    kinds = good.centres[(good.centres >= 0) & (good.centres < NOTHING)]
    shown = good.cells[(good.centres >= 0) & (good.centres < NOTHING)]
    assert (kinds == shown).float().mean() > 0.95 and not good.spoilt.any() and (good.cells != SPOILT).all()
    assert set(bad.centres.unique().tolist()) == {NOTHING} and bad.spoilt.any() and (bad.cells == SPOILT).any()
    assert {NO_BACKDROP} < set(good.backdrops.tolist()) and IGNORE in good.centres


def test_the_nearest_thing_covers_a_cell():
    masks = torch.zeros(1, 4, MASK, MASK)
    masks[0, 0, 3:9, 10:15], masks[0, 1, 12:15, 0:2], masks[0, 2, 0, 0] = 1, 1, 0.2
    cells = label_cells(torch.tensor([[7, 2, 5, -1]]), masks, torch.tensor([[False, True, False, False]]))
    assert (cells == 7).sum() == 30 and (cells == SPOILT).sum() == 6 and (cells == NOTHING).sum() == 220


def test_the_right_answers_cost_nothing_and_a_missed_spoilt_thing_does(painted_scenes):
    drawn = painted_scenes.paint(4, 2)
    answers = [
        20 * torch.nn.functional.one_hot(truth.clamp(min=0), classes).float().movedim(-1, 1)
        for truth, classes in zip((drawn.centres, drawn.cells, drawn.backdrops), HEADS, strict=True)
    ]
    assert sum(compute_losses(Marks(*answers), drawn).values()) < 1e-3
    answers[0][:, 3][drawn.spoilt] = 40  # a thing where a spoilt one is
    assert compute_losses(Marks(*answers), drawn)["centres"] > 1


def test_the_threshold_lets_composed_scenes_pass(painter):
    class Sure(torch.nn.Module):
        """Finds kind 0 in every picture, more certainly the brighter it is."""

        threshold = 0.9

        def forward(self, images):
            centres = torch.zeros(len(images), NOTHING + 1, MASK, MASK)
            centres[:, NOTHING] = 9
            centres[:, 0, 8, 8] = 12 + images.mean((1, 2, 3))
            return Marks(centres, torch.zeros(len(images), SPOILT + 1, MASK, MASK), torch.zeros(len(images), 11))

    assert find_threshold(Sure(), painter, 16) == 0.3  # it names most of them wrong: no threshold helps


def test_a_scene_scores_as_its_least_certain_thing_unless_others_are_more_certain():
    things = [WholeThing(word, (0.5, 0.5), score) for word, score in (("dog", 0.9), ("cat", 0.6), ("bell", 0.4))]
    verdict = Verdict(tuple(things), 0.0, None)
    assert score_scene(verdict, ["dog"]) == 0.9
    assert score_scene(verdict, ["cat", "dog"]) == 0.6
    assert score_scene(verdict, ["dog", "bell"]) == 0.0
    assert score_scene(Verdict((), 0.0, None), ["dog"]) == 0.0
