"""Each family on its true classes: without regions its own pipeline bit for bit; with regions nothing crosses the mask.

Nothing here is trained: what is shown is the wiring, not what pictures look like.
"""

from dataclasses import replace
from inspect import signature

import diffusers
import numpy as np
import pytest
import torch
from families import TEXT, Encoded, build, draw_stock, encode

from audiotoken.debug_transformers import TRANSFORMERS, debug_transformer
from guidance import Backbone, Guidance, Region, Regional, sample
from guidance.boxes import mirror_box
from guidance.energies import layout_energy
from guidance.errors import GuidanceError
from guidance.regional import RegionalAttention, attend
from guidance.regions import map_shape

LEFT, RIGHT = Region((0.0, 0.0, 0.5, 1.0), (3,)), Region((0.5, 0.0, 1.0, 1.0), (5, 6))
SIZE = {"height": 32, "width": 32}
ISOLATED = Regional(steps=1.0, restricted=True)


@pytest.fixture(scope="module", params=TRANSFORMERS)
def family(request):
    return request.param, build(request.param)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"negative_prompt": "photo"},
        {"scale": 1.0},
        {"height": 48, "width": 32},
    ],
)
def test_without_regions_it_is_the_pipeline_bit_for_bit(family, options):
    kind, pipe = family
    options = {"num_inference_steps": 2, "seed": 7, "scale": 4.0, **SIZE} | options
    stock = draw_stock(pipe, kind, [TEXT], **options)[0]
    options["guidance_scale"] = options.pop("scale")
    drawn = sample(pipe, encode(pipe, kind), **options)
    assert drawn.image.tobytes() == stock.tobytes() and not drawn.trace
    assert drawn.image.size == (options["width"], options["height"])
    unused = sample(pipe, encode(pipe, kind), regions=[LEFT, RIGHT], energy="none", **options)
    released = sample(pipe, encode(pipe, kind), regions=[LEFT, RIGHT], energy=Regional(steps=0), **options)
    assert unused.image.tobytes() == released.image.tobytes() == stock.tobytes()


def test_a_batch_is_the_pipelines_and_its_rows_are_apart(family):
    kind, pipe = family
    texts = [TEXT, "a photo of a frog and a dog"]
    prompts = [encode(pipe, kind, text) for text in texts]
    options = {"num_inference_steps": 2, "seed": 5, **SIZE}
    both = sample(pipe, prompts, guidance_scale=4.0, **options)
    stock = draw_stock(pipe, kind, texts, scale=4.0, **options)
    for mine, own in zip(both.images, stock, strict=True):  # the texts were encoded one by one, which rounds otherwise
        assert np.abs(np.asarray(mine, int) - np.asarray(own, int)).max() <= 1
    regions = [[LEFT, RIGHT], [RIGHT]]
    both = sample(pipe, prompts, regions=regions, guidance_scale=4.0, **options)
    for row, (prompt, mine) in enumerate(zip(prompts, regions, strict=True)):
        alone = sample(pipe, prompt, regions=mine, guidance_scale=4.0, **options).latents
        torch.testing.assert_close(both.latents[row : row + 1], alone, atol=2e-5, rtol=1e-4)


def test_regional_is_the_familys_own_method_and_changes_the_picture(family):
    kind, pipe = family
    options = {"num_inference_steps": 2, "guidance_scale": 4.0, **SIZE}
    plain = sample(pipe, encode(pipe, kind), **options).latents
    guided = sample(pipe, encode(pipe, kind), regions=[LEFT, RIGHT], **options)
    named = sample(pipe, encode(pipe, kind), regions=[LEFT, RIGHT], energy="regional", **options)
    assert torch.equal(guided.latents, named.latents) and len(guided.trace) == 2
    assert (guided.latents - plain).abs().max() > 1e-3
    half = sample(pipe, encode(pipe, kind), regions=[LEFT, RIGHT], energy=Regional(base_ratio=1.0), **options)
    torch.testing.assert_close(half.latents, plain, atol=2e-5, rtol=1e-4)


def predict(pipe, prompt: Encoded, method: Regional, regions):
    """The first prediction of the denoiser, (channels, h, w)."""
    backbone = Backbone.from_pipe(pipe)
    size = backbone.resolve_size(32, 32)
    conditioning = backbone.prepare_conditioning([prompt], None, 1.0, size)
    scheduler = backbone.make_scheduler(2, size)
    latents, _ = backbone.prepare_latents(scheduler, conditioning, [0], size)
    with torch.no_grad(), attend(backbone, conditioning, [regions], method, size) as attention:
        attention.mask.active = True
        with attention.mask:
            return backbone.predict_raw(latents, scheduler.timesteps[0], conditioning.positive, conditioning.added)[0]


def change_word(prompt: Encoded, at: int) -> Encoded:
    embeddings = prompt.embeddings.clone()
    embeddings[:, at] += 3 * torch.randn(embeddings.shape[-1], generator=torch.Generator().manual_seed(0))
    return replace(prompt, embeddings=embeddings)


def test_nothing_passes_from_one_region_to_another(family):
    """Through all blocks, not one alone: what is left of the picture does not depend on the word of the right."""
    kind, pipe = family
    prompt = encode(pipe, kind)
    changed = change_word(prompt, RIGHT.positions[0])
    regions = [LEFT, RIGHT]
    before, after = (predict(pipe, each, ISOLATED, regions) for each in (prompt, changed))
    half = before.shape[-1] // 2
    torch.testing.assert_close(before[..., :half], after[..., :half], atol=1e-6, rtol=0)
    assert (before[..., half:] - after[..., half:]).abs().max() > 1e-3
    plain, plain_after = (predict(pipe, each, Regional(base_ratio=1.0), regions) for each in (prompt, changed))
    assert (plain[..., :half] - plain_after[..., :half]).abs().max() > 1e-4  # as the family's own attention does


def test_words_stand_where_the_family_says(family):
    """A region of the whole picture restricts nothing; a word that no pixel reads changes nothing."""
    kind, pipe = family
    prompt = encode(pipe, kind)
    everywhere = Region((0.0, 0.0, 1.0, 1.0), (3,))
    plain = predict(pipe, prompt, Regional(base_ratio=1.0), [everywhere])
    torch.testing.assert_close(predict(pipe, prompt, Regional(boost=0.0), [everywhere]), plain, atol=2e-5, rtol=1e-4)
    corner = replace(LEFT, box=(0.0, 0.0, 0.25, 0.25))
    first, second = (predict(pipe, each, ISOLATED, [corner]) for each in (prompt, change_word(prompt, 3)))
    moved = (first - second).abs().amax(0)  # (h, w)
    quarter = moved.shape[0] // 4
    inside = float(moved[:quarter, :quarter].max())
    moved[:quarter, :quarter] = 0
    assert inside > 1e-4 and float(moved.max()) < 1e-6


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize(("height", "width"), [(32, 128), (96, 32), (64, 48)])
def test_mirrored_boxes_mirror_the_mask_on_any_canvas(family, height, width, restricted):
    kind, pipe = family
    backbone = Backbone.from_pipe(pipe)
    size = backbone.resolve_size(height, width)
    conditioning = backbone.prepare_conditioning([encode(pipe, kind)], None, 1.0, size)
    regions = [Region((0.0, 0.1, 0.4, 0.9), (3,)), Region((0.55, 0.0, 1.0, 0.5), (5, 6))]
    mirrored = [replace(region, box=mirror_box(region.box)) for region in regions]
    method = Regional(boost=3.0, restricted=restricted)
    pixels = backbone.count_pixels(size)
    place = backbone.locate(conditioning, pixels)
    plain, turned = (
        RegionalAttention(backbone, conditioning, [each], method, size)._get_bias("joint", place.length, place.length)[
            0, 0
        ]
        for each in (regions, mirrored)
    )
    order, (h, w) = torch.arange(place.length), map_shape(pixels, width / height)
    order[place.pixels : place.pixels + pixels] = place.pixels + torch.arange(pixels).view(h, w).flip(1).flatten()
    assert torch.equal(plain[order][:, order], turned) and not torch.equal(plain, turned)
    assert not plain.isinf().all(1).any()  # everything reads something


def test_nothing_is_left_on_the_pipeline(family):
    kind, pipe = family
    before = {name: (module, len(module._forward_hooks)) for name, module in pipe.transformer.named_modules()}
    sample(pipe, encode(pipe, kind), regions=[LEFT], num_inference_steps=1, **SIZE)
    with pytest.raises(ZeroDivisionError):
        sample(pipe, encode(pipe, kind), regions=[LEFT], num_inference_steps=2, callback=lambda *_: 1 // 0, **SIZE)
    assert before == {name: (module, len(module._forward_hooks)) for name, module in pipe.transformer.named_modules()}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_finite(family, dtype):
    kind, _ = family
    pipe = build(kind).to(dtype)
    drawn = sample(pipe, encode(pipe, kind), regions=[LEFT, RIGHT], energy=ISOLATED, num_inference_steps=2, **SIZE)
    assert drawn.latents.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "variant", "scale"),
    [("flux", {"guidance_embeds": False}, 1.0), ("flux2", {"is_distilled": True}, 3.0)],
)
def test_distilled_variants_are_their_pipelines(kind, variant, scale):
    pipe = debug_transformer(kind, **variant)
    assert Backbone.from_pipe(pipe).defaults == (4, 1.0)
    options = {"num_inference_steps": 2, "seed": 1}
    drawn = sample(pipe, encode(pipe, kind), guidance_scale=scale, **options)
    assert drawn.image.tobytes() == draw_stock(pipe, kind, [TEXT], scale=scale, **options)[0].tobytes()


@pytest.mark.parametrize("kind", ["flux", "flux2_dev"])
def test_the_distilled_scale_of_flux_is_an_input(kind):
    pipe = debug_transformer(kind)
    options = {"num_inference_steps": 1}
    first, second = (sample(pipe, encode(pipe, kind), guidance_scale=s, **options).latents for s in (2.0, 5.0))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("kind", "feature"), [("flux", "pooled"), ("sd3", "pooled"), ("chroma", "mask")])
def test_a_prompt_that_lacks_what_the_family_reads_is_refused(kind, feature):
    pipe = debug_transformer(kind)
    with pytest.raises(GuidanceError, match=rf"expected \.{feature}"):
        sample(pipe, replace(encode(pipe, kind), **{feature: None}))


def test_what_cannot_be_drawn_is_a_sentence(family):
    kind, pipe = family
    prompt = encode(pipe, kind)
    with pytest.raises(GuidanceError, match='expected "regional" or "none"'):
        sample(pipe, prompt, regions=[LEFT], energy="combined")
    with pytest.raises(GuidanceError, match="Got an energy for a"):
        sample(pipe, prompt, regions=[LEFT], energy=Guidance(layout_energy))
    with pytest.raises(GuidanceError, match="expected multiples of 8"):
        sample(pipe, prompt, height=36)
    with pytest.raises(GuidanceError, match="a ratio from 0 to 1"):
        Regional(base_ratio=1.5)


OTHERS = {  # the same transformer, called otherwise: they also read a picture, or other embeddings of the text
    "sd3": diffusers.StableDiffusion3Img2ImgPipeline,
    "flux": diffusers.FluxKontextPipeline,
    "flux2": diffusers.Flux2KleinInpaintPipeline,
    "flux2_dev": diffusers.Flux2KleinInpaintPipeline,
    "chroma": diffusers.ChromaImg2ImgPipeline,
    "qwen": diffusers.QwenImageImg2ImgPipeline,
    "z_image": diffusers.ZImageImg2ImgPipeline,
}


def test_a_pipeline_that_also_reads_pictures_is_refused(family):
    kind, pipe = family
    wanted = signature(OTHERS[kind]).parameters
    other = OTHERS[kind](**{name: part for name, part in pipe.components.items() if name in wanted})
    with pytest.raises(GuidanceError, match="Pipeline, which has the same transformer and draws"):
        sample(other, encode(pipe, kind))


@pytest.mark.parametrize(
    ("kind", "options", "negative", "scale", "unread"),
    [
        ("sd3", {}, "blurry", 4.0, []),
        ("sd3", {}, "blurry", 1.0, ["negative prompt"]),
        ("sd3", {}, None, 1.0, []),
        ("flux", {}, "blurry", 3.0, []),
        ("flux", {}, None, 3.0, []),
        ("flux", {"guidance_embeds": False}, None, 3.0, ["guidance scale"]),
        ("flux", {"guidance_embeds": False}, "blurry", None, ["negative prompt"]),
        ("flux", {"guidance_embeds": False}, "blurry", 3.0, []),
        ("flux2", {}, "blurry", None, []),
        ("flux2", {"is_distilled": True}, "blurry", 3.0, ["negative prompt", "guidance scale"]),
        ("flux2", {"is_distilled": True}, None, None, []),
        ("flux2_dev", {}, "blurry", None, ["negative prompt"]),
        ("flux2_dev", {}, None, 3.0, []),
        ("chroma", {}, "blurry", 4.0, []),
        ("chroma", {}, "blurry", 1.0, ["negative prompt"]),
        ("z_image", {}, "blurry", 0.0, ["negative prompt"]),
        ("z_image", {}, "blurry", 0.5, []),
        ("dreamlite", {}, "blurry", 1.0, ["negative prompt"]),
    ],
)
def test_options_without_effect_are_told_and_have_none(kind, options, negative, scale, unread):
    backbone = Backbone.from_pipe(debug_transformer(kind, **options))
    notes = backbone.describe_unread(negative, scale)
    assert [note.split(" has")[0].removeprefix("The ") for note in notes] == unread
    if kind == "dreamlite":
        return
    prompt, steps = encode(backbone.pipe, kind), {"num_inference_steps": 1, **SIZE}
    given = sample(backbone.pipe, prompt, negative_prompt=negative, guidance_scale=scale, **steps).latents
    without = sample(backbone.pipe, prompt, guidance_scale=None if "guidance scale" in unread else scale, **steps)
    assert torch.equal(given, without.latents) == (negative is None or "negative prompt" in unread)
