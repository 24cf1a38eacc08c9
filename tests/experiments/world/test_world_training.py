"""The painted world: scenes tell the truth about themselves, captions never say where, training resumes exactly."""

import random

import pytest
import torch
from safetensors.torch import save_file

from audiotoken.mini.object_detector import BACKGROUND, SIDE, detect
from experiments.world.training import workers
from experiments.world.training.detector import truth
from experiments.world.training.train_unet import SINGLES, Writer, attention_losses, train


def test_attention_on_the_own_object_costs_nothing():
    masks = torch.zeros(1, 4, 16, 16)
    masks[0, 0, 2:8, 1:6] = 1
    masks[0, 1, 9:15, 8:14] = 1
    positions, weight = torch.tensor([[3, 7, -1, -1]]), torch.ones(1)
    good = torch.full((1, 256, 77), 1e-6)
    good[0, :, 3], good[0, :, 7] = masks[0, 0].flatten(), masks[0, 1].flatten()
    inside, own = attention_losses(good, masks, positions, weight)
    assert inside < 0.01 and own < 0.01
    swapped = good.clone()
    swapped[0, :, 3], swapped[0, :, 7] = good[0, :, 7], good[0, :, 3]
    assert all(loss > 3 for loss in attention_losses(swapped, masks, positions, weight))
    both = good.clone()  # a layer that looks at "some object": inside is half wrong, and `own` sees it too
    both[0, :, 3] = both[0, :, 7] = good[0, :, 3] + good[0, :, 7]
    inside, own = attention_losses(both, masks, positions, weight)
    assert inside == pytest.approx(0.65, abs=0.1) and own == pytest.approx(0.69, abs=0.02)


def test_twins_share_their_word_and_their_masks():
    masks = torch.zeros(1, 4, 16, 16)
    masks[0, 0, :4, :4] = masks[0, 1, 10:14, 10:14] = 1
    maps = torch.full((1, 256, 77), 1e-6)
    maps[0, :, 5] = (masks[0, 0] + masks[0, 1]).flatten()
    inside, own = attention_losses(maps, masks, torch.tensor([[5, 5, -1, -1]]), torch.ones(1))
    assert inside < 0.01 and own < 0.01


def test_muon_updates_are_nearly_orthogonal():
    for shape in ((12, 40), (40, 12)):
        values = torch.linalg.svdvals(
            workers.orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
        )
        assert values.min() > 0.5 and values.max() < 1.4


def test_cells_show_the_object_that_covers_them_and_detections_find_it():
    masks = torch.zeros(1, 4, 16, 16)
    masks[0, 0, 3:9, 10:15], masks[0, 1, 12:15, 0:2] = 1, 0.2
    cells = truth(torch.tensor([[7, 2, -1, -1]]), masks)
    assert (cells == 7).sum() == 30 and (cells == BACKGROUND).sum() == 226

    def eye(images):
        return 20 * torch.nn.functional.one_hot(cells, BACKGROUND + 1).permute(0, 3, 1, 2).float()

    seen = detect(eye, torch.zeros(1, 3, SIDE, SIDE))
    assert seen.largest().tolist() == [7] and seen.present().nonzero().tolist() == [[0, 7]]
    assert seen.centre[0, 7].tolist() == pytest.approx([12.5 / 16, 6 / 16], abs=1e-3)


@pytest.fixture
def run_folder(tmp_path, painter):
    """A run whose scenes are cached already."""
    scenes = painter.paint(24, 9)
    (tmp_path / "latents").mkdir()
    tensors = {
        "latents": torch.randn(24, 8, 16, 16, generator=torch.Generator().manual_seed(0)).half(),
        "masks": (scenes.masks * 255).byte(),
        "kinds": scenes.kinds.to(torch.int8),
        "backdrops": scenes.backdrops.to(torch.int8),
    }
    save_file(tensors, tmp_path / "latents" / "00000.safetensors")
    return tmp_path


@pytest.mark.slow
def test_a_stopped_unet_run_goes_on_as_if_it_had_not_stopped(run_folder, atlas, monkeypatch):
    from experiments.world.training import train_unet

    monkeypatch.setattr(train_unet, "WIDTHS", (16, 16, 16))
    worker = workers.Worker(0, 1, torch.device("cpu"))
    whole, halves = run_folder / "whole", run_folder / "halves"
    for folder in (whole, halves):
        folder.mkdir()
        (folder / "latents").symlink_to(run_folder / "latents")
    train(worker, atlas, whole, 2, 2, 2e-3, None)
    train(worker, atlas, halves, 2, 2, 2e-3, 1)
    assert workers.load(halves / "unet.pt")["step"] == 1
    train(worker, atlas, halves, 2, 2, 2e-3, None)
    one, two = workers.load(whole / "unet.pt"), workers.load(halves / "unet.pt")
    assert 0 < SINGLES * 2 < 1 and one["step"] == two["step"] == 2  # of one object, then of several
    for name, weights in one["ema"].items():
        assert torch.equal(weights, two["ema"][name]), name


def test_dropped_captions_point_at_nothing(run_folder, tokenizer, monkeypatch):
    from experiments.world.training import train_unet
    from experiments.world.training.latents import load_cache

    monkeypatch.setattr(train_unet, "DROP", 1.0)
    batch = Writer(tokenizer, 1.0, torch.device("cpu"))(load_cache(run_folder), random.Random(0))
    assert batch.positions.max() == -1
    assert batch.ids[0].tolist() == tokenizer("", padding="max_length").input_ids


def test_make_mini_gives_its_stages_options_they_have():
    from importlib.util import find_spec
    from pathlib import Path

    from experiments.world.training.make_mini import stages

    for gpu in (False, True):
        for stage in stages(Path("runs/mini"), Path("esc10"), gpu):
            source = Path(find_spec(stage.module).origin).read_text()
            for option in stage.arguments:
                assert not option.startswith("--") or f'"{option}"' in source, (stage.name, option)
