"""Layouts: their checks, what moves, and the forms that generators read, each with its inverse."""

import json
import subprocess
import sys

import pytest
from diffusers import BriaFibo2Pipeline
from diffusers.modular_pipelines.flux3 import prompt_upsampler
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from guidance import Entry, Layout
from guidance.boxes import find_centre, mirror_box
from guidance.errors import RegionError
from guidance.forms import FORMS, coco, comfy, fibo, flux3, ideogram, invoke, moss, svg
from guidance.forms.form import to_grid
from guidance.regions import Region, make_regions

LEFT, RIGHT = (0.05, 0.2, 0.35, 0.7), (0.6, 0.3, 0.95, 0.9)
STREET = Layout(
    "a frog on the left and a bell on the right",
    (Entry("bell", RIGHT, "a bell"), Entry("frog", LEFT, "a frog")),
    (1280, 720),
)


@st.composite
def boxes(draw):
    ticks = st.integers(0, 10**6).map(lambda tick: tick / 10**6)  # a narrower box has no mirror image in floats
    x0, x1 = sorted(draw(st.lists(ticks, min_size=2, max_size=2, unique=True)))
    y0, y1 = sorted(draw(st.lists(ticks, min_size=2, max_size=2, unique=True)))
    return x0, y0, x1, y1


ODD = [
    "'hello' sign",
    '"quoted" dog',
    "Fußgänger",
    "Élan",
    "TV set",
    "🐸",
    "狗",
    "11 dogs",
    "<b>",
    "salt & pepper",
    "[1]",
]
words = st.sampled_from(["frog", "bell", "fire engine", "owl", "crying baby", "car", "car horn", "x" * 300, *ODD])
paths = st.lists(boxes(), max_size=3).map(lambda each: tuple((1.5 * i, box) for i, box in enumerate(each)))
entries = st.builds(lambda word, box, path: Entry(word, box, f"a {word}", path), words, boxes(), paths)
layouts = st.builds(
    Layout,
    st.sampled_from(["", "a frog and a bell", "a [quiet] scene <at night>", "two frogs", "at <night> []"]),
    st.lists(entries, max_size=12).map(tuple),
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(layouts)
@settings(max_examples=12)
def test_what_is_written_is_read_within_one_unit(form, layout):
    again = form.read(form.write(layout), layout.canvas)
    assert again.words == layout.words and again.canvas == layout.canvas
    unit = max(form.precision, 1 / min(layout.canvas)) + 1e-9
    for before, after in zip(layout.entries, again.entries, strict=True):
        assert after.box == pytest.approx(before.box, abs=unit)
    assert form.write(again) == form.write(form.read(form.write(again), layout.canvas))  # and stays


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(layouts)
@settings(max_examples=8)
def test_the_mirrored_layout_is_the_mirror(form, layout):
    assume(all(entry.box[2] - entry.box[0] > 1e-3 for entry in layout.entries))  # 1 - x of less may be no width
    plain = form.read(form.write(layout), layout.canvas)
    swapped = form.read(form.write(layout.mirrored()), layout.canvas)
    unit = 2 * max(form.precision, 1 / min(layout.canvas)) + 1e-9  # one at either reading
    for before, after in zip(plain.entries, swapped.entries, strict=True):
        assert after.box == pytest.approx(mirror_box(before.box), abs=unit)


@pytest.mark.parametrize("canvas", [(1, 1), (1024, 768), (1, 16384)])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_slivers_at_the_edges_come_back(form, canvas):
    thin = 1e-12
    slivers = [(1 - thin, 0, 1, 1), (0, 1 - thin, 1, 1), (0, 0, thin, 1), (0, 0, 1, thin), (0.3, 0.5, 0.3 + thin, 1)]
    layout = Layout("", tuple(Entry(f"frog {number}", box) for number, box in enumerate(slivers)), canvas)
    again = form.read(form.write(layout), canvas)
    assert again.words == layout.words
    for before, after in zip(layout.entries, again.entries, strict=True):
        assert after.box == pytest.approx(before.box, abs=max(form.precision, 1 / min(canvas)) + 1e-9)


@given(boxes(), st.integers(1, 1000), st.integers(1, 1000))
def test_whole_units_stay_on_the_canvas_and_are_never_empty(box, columns, rows):
    x0, y0, x1, y1 = to_grid(box, columns, rows)
    assert 0 <= x0 < x1 <= columns and 0 <= y0 < y1 <= rows
    assert max(abs(a - b) for a, b in zip((x0, x1), (box[0] * columns, box[2] * columns), strict=True)) <= 1 + 1e-9


def test_flux3_counts_down_first_and_to_a_thousand():
    rows = flux3.to_rows(STREET)
    assert rows[0] == {"id": "bell_1", "bbox": [300, 600, 900, 950], "desc": "a bell"}  # y, x, y, x
    assert flux3.cite(STREET) == "a frog <frog_1> on the left and a bell <bell_1> on the right"


def test_flux3_is_what_diffusers_reads():
    rows = prompt_upsampler.boxes_to_canvas(flux3.to_boxes(STREET))
    assert rows == flux3.to_rows(STREET)
    caption, table = prompt_upsampler.split_caption(flux3.write_text(STREET))
    assert caption == flux3.cite(STREET) and table == rows
    assert all(prompt_upsampler.valid_added_row(row, caption) == row for row in table)
    assert prompt_upsampler.split_caption(prompt_upsampler.reconcile_boxes(flux3.write_text(STREET), rows))[1] == rows


@given(layouts)
@settings(max_examples=25)
def test_every_row_of_any_layout_is_valid_to_diffusers(layout):
    caption, rows = prompt_upsampler.split_caption(flux3.write_text(layout))
    for row in rows or []:
        assert prompt_upsampler.valid_added_row(row, caption) == row or max(row["bbox"]) <= 1
    assert len({row["id"] for row in rows or []}) == len(layout.entries)


def test_two_of_a_kind_are_numbered_from_left_to_right():
    two = Layout("two frogs", (Entry("frog", RIGHT), Entry("frog", LEFT)))
    assert flux3.name_entries(two) == ["frog_2", "frog_1"]
    assert flux3.cite(two) == "two frogs <frog_1> <frog_2>"
    assert flux3.cite(Layout("", two.entries)) == "frog <frog_1> <frog_2>"


def at(word: str, x: float, description: str = "") -> Entry:
    return Entry(word, (x - 0.05, 0.3, x + 0.05, 0.8), description)


@pytest.mark.parametrize(
    ("caption", "things", "cited"),
    [
        (
            "two frogs on the left and another frog on the right",
            [at("frog", 0.2), at("frog", 0.3), at("frog", 0.8)],
            "two frogs <frog_1> <frog_2> on the left and another frog <frog_3> on the right",
        ),
        (
            "a car horn on the left and a car on the right",
            [at("car", 0.8), at("car horn", 0.2)],
            "a car horn <car_horn_1> on the left and a car <car_1> on the right",
        ),
        ("two mice", [at("mouse", 0.2), at("mouse", 0.8)], "two mice <mouse_1> <mouse_2>"),
        ("Wolves, and a wolf", [at("wolf", 0.2), at("wolf", 0.8)], "Wolves <wolf_1>, and a wolf <wolf_2>"),
        ("glasses of water", [at("glass of water", 0.2)], "glasses of water <glass_of_water_1>"),
        (
            "a green frog and a red frog",
            [at("frog", 0.8, "a green frog"), at("frog", 0.2, "a red frog")],
            "a green frog <frog_2> and a red frog <frog_1>",
        ),
        ("dusk", [at("frog", 0.2, "a red frog"), at("owl", 0.8)], "dusk, a red frog <frog_1>, owl <owl_1>"),
        ("an owl <owl_1> at dusk", [at("owl", 0.8)], "an owl <owl_1> at dusk"),
        ("a TV on the left", [at("TV", 0.2, "a TV")], "a TV <tv_1> on the left"),
        ("a 🐸", [at("🐸", 0.2)], "a 🐸 <thing_1>"),
    ],
)
def test_each_thing_is_cited_where_the_caption_mentions_it(caption, things, cited):
    layout = Layout(caption, tuple(things))
    assert flux3.cite(layout) == cited
    assert flux3.read_text(flux3.write_text(layout)).words == layout.words


def test_a_caption_keeps_what_is_no_citation():
    layout = Layout("a <night> scene with a frog [", (at("frog", 0.2),))
    assert flux3.read_text(flux3.write_text(layout)).caption == layout.caption
    assert flux3.read_text(flux3.write_text(Layout("an empty list []"))).caption == "an empty list []"


def test_what_no_file_can_hold_is_a_space():
    layout = Layout("a\x00 night\udc80", (Entry("red\x07 frog\n", LEFT),))
    assert layout.caption == "a night" and layout.words == ["red frog"]


def test_comfy_counts_pixels_of_the_canvas_across_first():
    first = comfy.to_boxes(STREET)[0]
    assert (first["x"], first["y"], first["width"], first["height"]) == (768, 216, 448, 432)
    assert first["metadata"] == {"type": "obj", "text": "", "desc": "a bell", "palette": []}
    assert comfy.from_boxes([comfy.to_boxes(STREET)], STREET.canvas).words == ["bell", "frog"]  # a batch


def test_moss_counts_from_the_middle_down_first():
    whole = json.loads(moss.write(STREET))
    assert list(whole) == ["summary", "items", "bbox_format", "bbox_coord_space"]
    assert whole["summary"] == {"caption": STREET.caption} and whole["bbox_format"] == "yxyx"
    assert whole["bbox_coord_space"] == "abs_centralized"
    assert whole["items"][0] == {"label": "object", "caption": "a bell", "bbox": [-144, 128, 288, 576]}
    assert moss.read(moss.write(STREET), STREET.canvas) == STREET
    assert moss.read('{"items": [{"label": "text", "text": "OPEN", "bbox": [0, 0, 9, 9]}]}').words == ["OPEN"]
    with pytest.raises(RegionError, match="moss"):
        moss.read('{"items": [{"label": "object", "caption": [], "bbox": [0, 0, 9, 9]}]}')
    middle = Layout("", (Entry("owl", (0.25, 0.25, 0.75, 0.75)),), (640, 480))
    assert json.loads(moss.write(middle))["items"][0]["bbox"] == [-120, -160, 120, 160]


def test_ideogram_has_the_keys_of_its_documents_in_order():
    caption = json.loads(ideogram.write(STREET))
    assert list(caption) == ["high_level_description", "compositional_deconstruction"]
    inner = caption["compositional_deconstruction"]
    assert list(inner) == ["background", "elements"]
    assert inner["elements"][0] == {"type": "obj", "bbox": [300, 600, 900, 950], "desc": "a bell"}


def test_invoke_has_a_layer_for_each_thing():
    layer = invoke.to_layers(STREET)[1]
    assert layer["type"] == "regional_guidance" and layer["positivePrompt"] == "a frog"
    assert layer["objects"][0]["rect"] == {"x": 64, "y": 144, "width": 384, "height": 360}
    moved = json.loads(invoke.write(STREET))
    moved["canvas_v2_metadata"]["regionalGuidance"][1]["position"] = {"x": 128, "y": 0}
    assert invoke.read(json.dumps(moved)).entries[1].box[0] == pytest.approx(LEFT[0] + 0.1)


def test_fibo_says_places_in_words():
    first, second = json.loads(fibo.write(STREET))["objects"]
    assert first == {
        "description": "a bell",
        "location": "right",
        "relative_size": "large within frame",
        "relationship": "to the right of a frog",
    }
    assert second["location"] == "left" and second["relationship"] == "to the left of a bell"
    written = fibo.write(STREET)
    assert "\n" not in written and BriaFibo2Pipeline._parse_prompt(written) == (
        json.loads(written),
        None,
    )  # no empty value
    alone = Layout("", (Entry("owl", (0.45, 0.0, 0.55, 0.2)),))
    assert json.loads(fibo.write(alone)) == {
        "objects": [{"description": "owl", "location": "top", "relative_size": "small"}]
    }


@given(boxes())
def test_fibo_keeps_the_place_and_the_size(box):
    place, size = fibo.name_place(box), fibo.name_size(box)
    again = fibo.read_place(place, size)
    assert again and (fibo.name_place(again), fibo.name_size(again)) == (place, size)
    assert find_centre(again) == pytest.approx(find_centre(box), abs=1 / 4)


@pytest.mark.parametrize(
    ("location", "size", "box"),
    [
        ("bottom-right foreground", "small", (0.708, 0.708, 0.958, 0.958)),
        ("upper left of the frame", None, (0.0, 0.0, 0.367, 0.367)),
        ("Centre", "large within frame", (0.167, 0.167, 0.833, 0.833)),
        ("middle right", "medium-to-large", (0.633, 0.3, 1.0, 0.7)),
    ],
)
def test_fibo_reads_places_that_others_wrote(location, size, box):
    text = json.dumps({"objects": [{"description": "a dog", "location": location, "relative_size": size}]})
    (entry,) = fibo.read(text).entries
    assert entry.word == "dog" and entry.box == pytest.approx(box, abs=1e-3)


@pytest.mark.parametrize("location", ["", None, "following rule of thirds", "from left to right", "Leftover"])
def test_what_fibo_does_not_place_has_no_box(location):
    text = json.dumps({"short_description": "dusk", "objects": [{"description": "a dog", "location": location}]})
    assert fibo.read(text) == Layout("dusk")


def test_coco_counts_across_first_and_adds_up():
    table = json.loads(coco.write(STREET))
    assert table["annotations"][0]["bbox"] == [768.0, 216.0, 448.0, 432.0]
    assert table["annotations"][0]["area"] == 448 * 432
    assert [each["name"] for each in table["categories"]] == ["bell", "frog"]


def test_svg_shows_the_words_and_the_way_of_what_moves():
    car = Entry("car <fast>", (0.1, 0.2, 0.9, 0.8), path=((0.0, LEFT), (2.0, RIGHT)))
    text = svg.write(Layout("a car & more", (car,), (640, 480)))
    assert 'points="128.0,216.0 496.0,288.0"' in text and "car &lt;fast&gt;" in text
    again = svg.read(text)
    assert again.words == ["car <fast>"] and again.caption == "a car & more" and again.canvas == (640, 480)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("text", ["{", "null", '{"boxes": 3}', '[{"bbox": [1, 2]}]', "[[[[", '[{"x": "a"}]'])
def test_what_is_no_layout_is_refused_or_a_caption(form, text):
    try:
        layout = form.read(text, (640, 480))
    except RegionError as error:
        assert str(error).endswith(".") and ";" in str(error)
    else:
        assert layout.entries == ()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Entry("", LEFT), "without a word"),
        (lambda: Entry("frog", (0.5, 0, 0.4, 1)), "x0 < x1"),
        (lambda: Entry("frog", (0.5, 0, 1.4, 1)), "from 0 to 1"),
        (lambda: Entry("frog", LEFT, path=((1, LEFT), (0, RIGHT))), "times that rise"),
        (lambda: Entry("frog", LEFT, path=((float("nan"), LEFT),)), "times that rise"),
        (lambda: Entry("frog", LEFT, path=(LEFT,)), "pairs"),
        (lambda: Entry(3, LEFT), "expected a text"),
        (lambda: Layout("", ("frog",)), "guidance.Entry"),
        (lambda: Layout("", (), (0, 10)), "1 to 16384"),
        (lambda: Layout("", (), (1.5, 10)), "width and height"),
        (lambda: Layout(None), "expected a text"),
    ],
)
def test_what_is_no_layout_is_refused(make, words):
    with pytest.raises(RegionError, match=words):
        make()


def test_a_thing_that_moves_is_somewhere_at_any_time():
    car = Entry("car", (0.3, 0.2, 0.7, 0.8), path=((1.0, LEFT), (3.0, RIGHT)))
    assert car.moves and car.box_at(0.0) == LEFT and car.box_at(9.0) == RIGHT
    assert find_centre(car.box_at(2.0)) == pytest.approx(((0.2 + 0.775) / 2, (0.45 + 0.6) / 2))
    still = Layout("", (car,)).at(1.0).entries[0]
    assert still.box == LEFT and not still.moves
    assert Layout("", (car,)).mirrored().entries[0].box_at(0.0) == pytest.approx(mirror_box(LEFT))


def test_sampling_reads_the_boxes_of_a_layout():
    assert make_regions(STREET, {1: (2, 3), 0: ()}) == [Region(LEFT, (2, 3), "frog")]


def test_layouts_need_no_torch():
    code = "import sys, guidance.forms; from guidance import Layout; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_json_is_json():
    for form in FORMS.values():
        if form.suffix == ".json":
            json.loads(form.write(STREET))
