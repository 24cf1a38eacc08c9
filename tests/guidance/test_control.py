"""Regions as a segmentation for a ControlNet: a tiny one with random weights, in the published layout."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.debug import debug_pipeline
from guidance import Region, sample
from guidance.ade20k import COLOURS, find_class
from guidance.control import attach_controlnet, load_controlnet, paint_segmentation
from guidance.errors import GuidanceError

LEFT, RIGHT = Region((0.0, 0.25, 0.375, 0.875), (3,), "dog"), Region((0.5, 0.125, 1.0, 1.0), (5,), "ocean waves")
TEXT = "a dog and a wave"


def control_of(pipe, seed=3):
    """Made of the UNet, as they are trained from; its zero layers are opened, as training does."""
    control = ControlNetModel.from_unet(pipe.unet, conditioning_embedding_out_channels=(4, 4, 8, 8))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in control.named_parameters():
            if "controlnet" in name:
                weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return control


@pytest.fixture(scope="module")
def pipe():
    return debug_pipeline(kind="sd1")


@pytest.fixture(scope="module")
def folder(pipe, tmp_path_factory):
    """As published: config.json and diffusion_pytorch_model.safetensors."""
    path = tmp_path_factory.mktemp("control")
    control_of(pipe).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def control(folder, pipe):
    return load_controlnet(folder, pipe)


def draw(pipe, control, *regions, **options):
    backbone, image, notes = attach_controlnet(pipe, control, regions)
    prompt = pipe.encode_prompts(TEXT)[0]
    drawn = sample(
        backbone, prompt, regions=regions, **{"energy": "none", "num_inference_steps": 3, "seed": 7, **options}
    )
    return drawn, image, notes


def test_the_palette_is_that_of_ade20k():
    assert len(COLOURS) == 150
    known = {"wall": (120, 120, 120), "person": (150, 5, 61), "car": (0, 102, 200), "animal": (255, 0, 122)}
    known |= {"sky": (6, 230, 230), "sea": (9, 7, 230), "airplane": (0, 255, 82), "flag": (92, 0, 255)}
    assert {name: COLOURS[name] for name in known} == known


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("dog", "animal"),
        ("Dogs", "animal"),
        ("race car", "car"),
        ("trees in the wind", "tree"),
        ("glass of water", "glass"),
        ("person chopping wood", "person"),
        ("church bells", "tower"),
        ("swimming pool", "swimming pool"),
        ("rock and roll band", "person"),
        ("guitar", None),
        ("fire alarm", None),
        ("", None),
    ],
)
def test_words_have_their_class_or_none(word, name):
    assert find_class(word) == name


def test_things_are_ellipses_and_landscapes_fill_their_box():
    picture = np.asarray(paint_segmentation([LEFT, RIGHT], ["animal", "sea"], (80, 160)))
    assert picture.shape == (80, 160, 3)
    sea = (picture == COLOURS["sea"]).all(-1)
    assert sea[10:80, 80:160].all() and sea.sum() == 70 * 80
    rows, columns = (picture == COLOURS["animal"]).all(-1).nonzero()
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (0, 59, 20, 69)
    assert len(rows) == pytest.approx(np.pi / 4 * 60 * 50, rel=0.02)
    assert not picture[:10, :80].any()


def test_the_smaller_is_in_front():
    behind, before = Region((0.0, 0.0, 1.0, 1.0), (1,)), Region((0.4, 0.4, 0.6, 0.6), (2,))
    picture = np.asarray(paint_segmentation([before, behind], ["car", "sky"], (50, 50)))
    assert tuple(picture[25, 25]) == COLOURS["car"] and tuple(picture[0, 0]) == COLOURS["sky"]


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_without_an_energy_it_is_the_pipeline_of_diffusers(pipe, control, scale):
    drawn, image, _ = draw(pipe, control, LEFT, RIGHT, guidance_scale=scale)
    parts = {name: getattr(pipe, name) for name in ("vae", "text_encoder", "tokenizer", "unet", "scheduler")}
    public = StableDiffusionControlNetPipeline(
        **parts, controlnet=control, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    public.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 3, "guidance_scale": scale, "generator": torch.Generator().manual_seed(7)}
    expected = public(TEXT, image=image, output_type="latent", **options).images
    torch.testing.assert_close(drawn.latents, expected, atol=1e-5, rtol=1e-5)


def test_boxes_and_labels_change_the_picture_and_a_seed_repeats_it(pipe, control):
    drawn, _, notes = draw(pipe, control, LEFT, RIGHT)
    moved, _, _ = draw(pipe, control, Region(RIGHT.box, (3,), "dog"), Region(LEFT.box, (5,), "ocean waves"))
    renamed, _, _ = draw(pipe, control, Region(LEFT.box, (3,), "car"), RIGHT)
    without = sample(pipe, pipe.encode_prompts(TEXT)[0], num_inference_steps=3, seed=7)
    for other in (moved, renamed, without):
        assert not torch.allclose(drawn.latents, other.latents, atol=1e-3)
    assert torch.equal(drawn.latents, draw(pipe, control, LEFT, RIGHT)[0].latents) and notes == []


@pytest.mark.parametrize("energy", ["combined", "layout"])
def test_an_energy_moves_them_as_well(pipe, control, energy):
    moved, _, _ = draw(pipe, control, LEFT, RIGHT, energy=energy)
    assert not torch.allclose(moved.latents, draw(pipe, control, LEFT, RIGHT)[0].latents, atol=1e-4)
    assert sum(sum(note.updates) for note in moved.trace) > 0


def test_other_sizes_and_rows_are_drawn_too(pipe, control):
    backbone, _, _ = attach_controlnet(pipe, control, [LEFT])
    prompt = pipe.encode_prompts(TEXT)[0]
    wide = sample(backbone, [prompt, prompt], seed=[1, 2], num_inference_steps=1, width=48)
    assert wide.image.size == (48, 32)
    alone = sample(backbone, prompt, seed=2, num_inference_steps=1, width=48)
    torch.testing.assert_close(wide.latents[1:], alone.latents, atol=1e-4, rtol=1e-4)


def test_xl_goes_the_same_way():
    pipe = debug_pipeline(kind="xl")
    control = control_of(pipe)
    drawn, _, _ = draw(pipe, control, LEFT, num_inference_steps=1)
    assert not torch.allclose(
        drawn.latents, sample(pipe, pipe.encode_prompts(TEXT)[0], num_inference_steps=1, seed=7).latents, atol=1e-4
    )


def test_a_word_without_a_class_gets_a_note(pipe, control):
    guitar = Region(LEFT.box, (3,), "guitar")
    _, image, notes = attach_controlnet(pipe, control, [guitar])
    assert notes == ["The ControlNet knows no class for guitar: it has no colour there."] and not image.getbbox()
    asked = []
    _, image, notes = attach_controlnet(
        pipe, control, [guitar], nearest=lambda word, names: asked.append(word) or names[20]
    )
    assert asked == ["guitar"] and "it has the colour of car there" in notes[0]
    assert image.getpixel((6, 18)) == COLOURS["car"]


def test_a_controlnet_that_does_not_fit_is_refused_before_sampling(folder, control, tmp_path):
    wider = debug_pipeline(kind="sd2")
    for attempt in (lambda: load_controlnet(folder, wider), lambda: attach_controlnet(wider, control, [LEFT])):
        with pytest.raises(GuidanceError, match=r"its cross_attention_dim is 32, the UNet's is 40; use one"):
            attempt()
    with pytest.raises(GuidanceError, match="there is no such folder"):
        load_controlnet(tmp_path / "none", wider)
    with pytest.raises(GuidanceError, match=r"holds no config\.json"):
        load_controlnet(tmp_path, wider)
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel"}))
    with pytest.raises(GuidanceError, match="it is a UNet2DConditionModel; give a ControlNet for segmentation"):
        load_controlnet(tmp_path, wider)
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(GuidanceError, match=r"Cannot load the ControlNet .*diffusion_pytorch_model"):
        load_controlnet(tmp_path, debug_pipeline(kind="sd1"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"conditioning_channels": 1}))
    with pytest.raises(GuidanceError, match="reads no segmentation"):
        load_controlnet(tmp_path, debug_pipeline(kind="sd1"))


@pytest.fixture(scope="module")
def model(pipe, tmp_path_factory):
    """A model folder with an audio encoder."""
    path = tmp_path_factory.mktemp("model")
    pipe.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A tone hard on the left."""
    time = np.arange(16_000) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * (400 + 900 * time) * time)
    path = tmp_path_factory.mktemp("clip") / "left.wav"
    soundfile.write(path, np.stack([tone, 0.1 * tone], 1), 16_000)
    return path


def test_draw_finds_the_nearest_class_with_the_text_encoder(pipe, control, clip):
    from audiotoken import stereo as pipeline

    recording, rate = soundfile.read(clip, dtype="float32")
    planned = pipeline.plan(recording.T, rate, pipe, setup="panned")
    (region,) = planned.regions.values()
    guitar = replace(planned, regions={0: Region(region.box, region.positions, "guitar")})
    drawn = pipeline.draw(guitar, pipe, control=control, num_inference_steps=1, energy="none")
    assert "knows no class for guitar: it has the colour of" in drawn.notes[-1] and drawn.control.getbbox()
    free = pipeline.draw(replace(planned, regions={}), pipe, control=control, num_inference_steps=1)
    assert free.notes[-1] == "No source has a place, so the ControlNet was not used." and free.control is None


def run(*arguments):
    return CliRunner().invoke(app, ["place", *map(str, arguments)])


@pytest.mark.slow
def test_place_draws_with_it(model, folder, clip, tmp_path):
    out, plain = tmp_path / "out.png", tmp_path / "plain.png"
    options = ["--model", model, "--steps", 2, "--setup", "panned"]
    drawn = run(clip, "-o", out, "--boxes", "--control-layout", folder, *options)
    assert drawn.exit_code == 0, drawn.output
    assert f"wrote  {out}, {tmp_path / 'out-boxes.png'}, {tmp_path / 'out-control.png'}" in drawn.stdout
    assert run(clip, "-o", plain, *options).exit_code == 0
    assert out.read_bytes() != plain.read_bytes()
    assert (tmp_path / "out-control.png").stat().st_size > 0


def test_place_refuses_in_a_sentence(folder, clip, tmp_path):
    for arguments, sentence in (
        (["--control-layout", folder], "its cross_attention_dim is 32, the UNet's is"),  # of the mini checkpoint
        (["--control-layout", folder, "--motion", "trail"], "leave out one of the two"),
        (["--control-layout", tmp_path / "none"], "there is no such folder"),
    ):
        refused = run(clip, "-o", tmp_path / "out.png", *arguments)
        assert refused.exit_code == 2 and sentence in refused.stderr, refused.output
    assert not (tmp_path / "out.png").exists()
