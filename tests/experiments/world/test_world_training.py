"""Training on the painted world: nouns look at their things, and a stopped run goes on as if it had not stopped."""

import argparse
import random
import signal
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusion3Pipeline
from filelock import FileLock

from audiotoken.mini.object_detector import BACKGROUND, SIDE, detect
from audiotoken.mini.things import WORDS
from audiotoken.model import load_pipeline
from experiments.world.training import (
    autoencoder,
    checkpoints,
    dit,
    loop,
    make_mini,
    shards,
    train_dit,
    train_unet,
    unet,
    workers,
)
from experiments.world.training.attention import attention_losses
from experiments.world.training.detector import label_cells
from experiments.world.training.loop import Options

ALONE = workers.Worker(0, 1, torch.device("cpu"))


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", [(12, 20), (12, 40), (40, 12)])
def test_muon_updates_are_nearly_orthogonal(shape, dtype):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(workers.orthogonalise(matrix, dtype=dtype))
    assert values.min() > 0.5 and values.max() < 1.4


def test_cells_show_the_object_that_covers_them_and_detections_find_it():
    masks = torch.zeros(1, 4, 16, 16)
    masks[0, 0, 3:9, 10:15], masks[0, 1, 12:15, 0:2] = 1, 0.2
    cells = label_cells(torch.tensor([[7, 2, -1, -1]]), masks)
    assert (cells == 7).sum() == 30 and (cells == BACKGROUND).sum() == 226

    def eye(images):
        return 20 * torch.nn.functional.one_hot(cells, BACKGROUND + 1).permute(0, 3, 1, 2).float()

    seen = detect(eye, torch.zeros(1, 3, SIDE, SIDE))
    assert seen.largest().tolist() == [7] and seen.present().nonzero().tolist() == [[0, 7]]
    assert seen.centre[0, 7].tolist() == pytest.approx([12.5 / 16, 6 / 16], abs=1e-3)


def test_the_window_slides_with_what_was_seen():
    assert list(shards.list_window(0)) == list(range(8))
    assert list(shards.list_window(7999)) == list(range(8)) and list(shards.list_window(8000)) == list(range(10))
    late = shards.list_window(1_500_000)
    assert len(late) == shards.WINDOW and late[-1] * shards.REUSE * shards.SHARD > 1_400_000


def test_a_power_average_grows_with_the_training():
    model = torch.nn.Linear(1, 1, bias=False)
    ema = checkpoints.PowerEma(model, 0.1)
    for step in range(1, 1001):
        model.weight.data.fill_(step)
        ema.update(model)
    exponent = checkpoints.find_exponent(0.1)
    assert exponent == pytest.approx(6.94, abs=0.01)  # the paper's figure
    assert ema.weights["weight"].item() == pytest.approx(1000 * (exponent + 1) / (exponent + 2), rel=2e-3)


def test_weights_of_another_shape_start_with_the_part_that_fits():
    model = torch.nn.Linear(4, 3)
    share = checkpoints.warm_start(model, {"weight": torch.ones(2, 6), "bias": torch.zeros(3), "other": torch.ones(1)})
    assert share == pytest.approx((8 + 3) / 15)
    assert (model.weight[:2] == 1).all() and not (model.weight[2] == 1).any()


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(unet, "WIDTHS", (16, 16, 16))
    monkeypatch.setattr(dit, "LAYERS", 2)
    monkeypatch.setattr(dit, "HEADS", 1)
    for name, value in {"SHARD": 6, "FIRST": 2, "REUSE": 1, "SCALED_BY": 8}.items():
        monkeypatch.setattr(shards, name, value)
    monkeypatch.setattr(loop, "SINGLES", 4)
    monkeypatch.setattr(autoencoder, "WIDTHS", (8, 8, 8, 8))
    monkeypatch.setattr(autoencoder, "EVERY", 1)
    monkeypatch.setattr(autoencoder, "compute_psnr", lambda model, scenes: 0.0)


@pytest.mark.slow
def test_stopped_runs_go_on_as_if_they_had_not_stopped(tmp_path, atlas, tiny):
    """The autoencoder, then shards and UNet; the window moves and the things become several on the way."""
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    for out, stops in ((whole, (4,)), (halves, (1, 4))):
        autoencoder.train(ALONE, atlas, out, 2, 4, 2e-3, False, None)
        for stop in stops:
            train_unet.train(ALONE, Options(atlas, out, 400, 4, 2e-3, stop=stop))
    one, two = workers.load_state(whole / "unet.pt"), workers.load_state(halves / "unet.pt")
    assert one["step"] == two["step"] == 4 and one["scale"] == two["scale"]
    for a, b in zip(one["emas"], two["emas"], strict=True):
        for name, weights in a["weights"].items():
            assert torch.equal(weights, b["weights"][name]), name


def test_a_training_that_is_asked_to_stop_writes_all_that_it_needs(tmp_path, atlas, tiny, monkeypatch):
    autoencoder.train(ALONE, atlas, tmp_path, 0, 4, 2e-3, False, None)  # its weights as they are
    update = loop.update_models

    def update_and_ask(run, terms):
        update(run, terms)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(loop, "update_models", update_and_ask)
    with pytest.raises(SystemExit, match="Stopped after step 1 of 100"):
        train_unet.train(ALONE, Options(atlas, tmp_path, 400, 4, 2e-3))
    assert workers.load_state(tmp_path / "unet.pt")["step"] == 1
    assert len(list((tmp_path / "unet").glob("00000004-*.safetensors"))) == len(loop.AVERAGES)


def test_an_autoencoder_goes_on_as_if_it_had_not_stopped(tmp_path, atlas, tiny, monkeypatch):
    saved = []
    save = checkpoints.save

    def save_and_remember(path, *rest):
        save(path, *rest)
        saved.append(path.read_bytes())

    monkeypatch.setattr(checkpoints, "save", save_and_remember)
    autoencoder.train(ALONE, atlas, tmp_path, 2, 4, 2e-3, False, None)
    last = workers.load_state(tmp_path / "autoencoder.pt")["emas"][0]["weights"]
    (tmp_path / "autoencoder.pt").write_bytes(saved[0])  # as if stopped after the first step
    autoencoder.train(ALONE, atlas, tmp_path, 2, 4, 2e-3, False, None)
    for name, weights in workers.load_state(tmp_path / "autoencoder.pt")["emas"][0]["weights"].items():
        assert torch.equal(weights, last[name]), name


@pytest.mark.slow
def test_the_transformer_is_drawn_with_by_the_pipeline_of_diffusers(tmp_path, atlas, tiny, monkeypatch):
    autoencoder.train(ALONE, atlas, tmp_path, 1, 4, 2e-3, False, None)
    train_dit.train(ALONE, Options(atlas, tmp_path, 400, 4, 2e-3, start=Path("audiotoken/mini"), stop=1))
    pipe = train_dit.build_pipeline(tmp_path)
    embeds = pipe.encode_prompt("a dog", None, None, max_sequence_length=0)
    tokens, pooled = dit.encode_text(
        pipe.text_encoder, torch.tensor([pipe.tokenizer("a dog", padding="max_length").input_ids])
    )
    assert torch.equal(embeds[0], tokens) and torch.equal(embeds[2], pooled)  # it reads as it was trained to
    image = pipe(prompt="a dog", num_inference_steps=2).images[0]
    assert image.size == (128, 128) and np.asarray(image).std() > 0
    monkeypatch.setattr(sys, "argv", ["train_dit", "--out", str(tmp_path), "--write", str(tmp_path / "dit")])
    train_dit.main()
    options = {"text_encoder_3": None, "tokenizer_3": None, "torch_dtype": torch.float32}
    stock = StableDiffusion3Pipeline.from_pretrained(tmp_path / "dit", **options)
    assert stock.vae.config.scaling_factor == pipe.vae.config.scaling_factor
    drawn = stock("a dog", num_inference_steps=2, guidance_scale=4.0, max_sequence_length=0,
                  generator=torch.Generator().manual_seed(0)).images  # fmt: skip
    again = load_pipeline(str(tmp_path / "dit"), "cpu")
    assert again(prompt="a dog", num_inference_steps=2).images[0].tobytes() == drawn[0].tobytes()
    assert again.audio_encoder.labels == load_pipeline("mini", "cpu").audio_encoder.labels


def test_a_gpu_paints_every_batch_anew_and_the_same_again(painter, tiny):
    fresh = shards.NewScenes(ALONE, painter, autoencoder.build_autoencoder().eval())
    one, again, other = fresh.batch(3, 4, False), fresh.batch(3, 4, False), fresh.batch(4, 4, False)
    assert torch.equal(one.latents, again.latents) and not torch.equal(one.latents, other.latents)
    assert (fresh.batch(3, 4, True).kinds[:, 1:] < 0).all()
    assert one.latents.shape == (4, 16, 16, 16)


def test_dropped_captions_point_at_nothing(tokenizer, painter, tiny, monkeypatch):
    monkeypatch.setattr(unet, "DROP", 1.0)
    scenes = shards.encode_scenes(painter, autoencoder.build_autoencoder().eval(), 4, 9)
    batch = unet.CaptionWriter(tokenizer, 1.0, torch.device("cpu"))(scenes, random.Random(0))
    assert batch.positions.max() == -1
    assert batch.ids[0].tolist() == tokenizer("", padding="max_length").input_ids


def plans(gpu):
    out = Path("runs/mini")
    yield make_mini.list_stages(out, Path("esc10"), gpu=gpu, start=Path("audiotoken/mini"))
    yield make_mini.list_transformer_stages(out, gpu, 2, 1000)


@pytest.mark.parametrize("gpu", [False, True])
def test_make_mini_gives_its_stages_options_they_have(gpu, monkeypatch):
    class ParsedError(Exception):
        pass

    def parse_only(parser):
        parse(parser)
        raise ParsedError

    parse = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    for plan in plans(gpu):
        assert len({stage.name for stage in plan}) == len(plan)
        for stage in plan:
            monkeypatch.setattr("sys.argv", [stage.module, *stage.arguments])
            with pytest.raises(ParsedError):
                import_module(stage.module).main()


def test_a_part_of_the_stages_can_be_chosen():
    plan = make_mini.list_stages(Path("runs/mini"), Path("esc10"), gpu=False)
    assert [s.name for s in make_mini.select_stages(plan, "autoencoder", "decoder")] == [
        "autoencoder",
        "unet",
        "decoder",
    ]
    assert make_mini.select_stages(plan, None, None) == plan
    with pytest.raises(SystemExit, match="no stage vae; choose one of art, autoencoder"):
        make_mini.select_stages(plan, "vae", None)


def test_two_trainings_do_not_write_into_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make_mini", "--out", str(tmp_path), "--until", "unet"])
    with FileLock(tmp_path / "make_mini.lock"), pytest.raises(SystemExit, match="already"):
        make_mini.main()


def test_the_checkpoint_stays_small(tokenizer):
    models = unet.build_models(tokenizer)
    size = 2 * sum(p.numel() for part in (models, autoencoder.build_autoencoder()) for p in part.parameters())
    assert size < 32e6  # bytes in half precision; the audio parts and the judges are 9 MB
    assert 2 * sum(p.numel() for p in dit.build_models(tokenizer).parameters()) < 31e6


def test_things_in_focus_come_more_often(painter, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 60)  # the two that a run begins with are enough for any number of draws
    bird = WORDS.index("bird")
    focused, even = (
        shards.ShardCache(ALONE, painter, autoencoder.build_autoencoder().eval(), tmp_path, focus)
        for focus in ([bird], [])
    )
    counts = [(each.batch(0, 3000, False).kinds == bird).any(1).sum().item() for each in (focused, even)]
    assert counts[0] > 1.5 * counts[1] > 0
    assert torch.equal(focused.batch(3, 8, False).kinds, focused.batch(3, 8, False).kinds)


def test_patches_are_named_by_what_covers_them(painter, tiny):
    scenes = shards.encode_scenes(painter, autoencoder.build_autoencoder().eval(), 6, 9)
    things = dit.label_patches(scenes)
    assert things.shape == (6, 25, 64) and torch.allclose(things.sum(1), torch.ones(6, 64))
    first = scenes.masks[0, 0].float() / 255
    assert things[0, 1 + scenes.kinds[0, 0].item()].sum() >= first.sum() / 4 - 1e-4  # a patch is four latents
    for scene, kinds in zip(things, scenes.kinds.tolist(), strict=True):
        assert {k for k in range(24) if scene[1 + k].sum() > 0} <= set(kinds)
