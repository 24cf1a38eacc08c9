"""On the checkpoint that ships: things go where they should, and the benchmarks say so."""

import json

import pytest

from audiotoken.errors import OptionError
from audiotoken.model import load_pipeline
from audiotoken.prompt import find_word_positions
from experiments.benchmarks.cases import Case, make_cases, make_regions
from experiments.benchmarks.detection import detect_painted
from experiments.benchmarks.end_to_end import bench_end_to_end
from experiments.benchmarks.guidance import bench_guidance
from experiments.benchmarks.pictures import draw_or_load
from experiments.benchmarks.placement import bench_placement
from guidance import Region, animate, sample
from guidance.metrics import measure_placement

LEFT, RIGHT = (0.05, 0.25, 0.45, 0.8), (0.55, 0.25, 0.95, 0.8)


@pytest.fixture(scope="module")
def mini():
    return load_pipeline("mini", "cpu")


def positions(pipe, prompt, *words):
    return [find_word_positions(prompt.text, word, pipe.tokenizer) for word in words]


def test_what_is_asked_left_is_left_and_mirrored_it_is_right(mini):
    prompt = mini.encode_prompts("a photo of a dog")[0]
    (at,) = positions(mini, prompt, "dog")
    regions = [[Region(box, at, "dog")] for box in (LEFT, RIGHT)]
    drawn = sample(mini, [prompt] * 2, regions=regions, seed=[0, 0])  # of one noise, so only guidance can do it
    seen, sure = detect_painted(drawn.images, [Case(("dog",), (0.0,), (0.0,), 0)] * 2)
    placed = [measure_placement(want, see)[0] for want, see in zip(regions, seen, strict=True)]
    assert all(each.present and each.side for each in placed) and sure > 0.7
    first, last = [[note.before for note in drawn.trace if note.before][at] for at in (0, -1)]
    assert sum(last) < 0.85 * sum(first)


def test_two_things_each_on_its_side(mini):
    prompt = mini.encode_prompts("a photo of a dog and a frog")[0]
    dog, frog = positions(mini, prompt, "dog", "frog")
    straight, crossed = ([Region(a, dog, "dog"), Region(b, frog, "frog")] for a, b in ((LEFT, RIGHT), (RIGHT, LEFT)))
    wanted = [straight, crossed]
    drawn = sample(mini, [prompt] * 2, regions=wanted, seed=[0, 0])
    seen, _ = detect_painted(drawn.images, [Case(("dog", "frog"), (0.0, 0.0), (0.0, 0.0), 0)] * 2)
    right = [all(each.side for each in measure_placement(want, see)) for want, see in zip(wanted, seen, strict=True)]
    assert all(right)


@pytest.mark.slow
def test_a_thing_that_moves(mini):
    prompt = mini.encode_prompts("a photo of a car")[0]
    (at,) = positions(mini, prompt, "car")
    frames = [[Region((x - 0.2, 0.35, x + 0.2, 0.8), at, "car")] for x in (0.22, 0.5, 0.78)]
    drawn = animate(mini, prompt, regions=frames, seed=1, num_inference_steps=8)
    seen, _ = detect_painted(drawn.images, [Case(("car",), (0.0,), (0.0,), 0)] * 3)
    x = [see[0].centre[0] for see in seen]
    assert x[0] < x[1] - 0.1 < x[2] - 0.2


def test_cases_are_seeded_and_swapping_mirrors_their_boxes():
    cases = make_cases(20, 2, 0)
    assert cases[3].words == make_cases(5, 2, 0)[3].words != make_cases(5, 2, 1)[3].words
    for case in cases:
        (a, b), (c, d) = (make_regions(each, [(1,), (2,)]) for each in (case, case.swap_sides()))
        assert (a.centre[0] - 0.5) * (b.centre[0] - 0.5) < 0 and (a.centre[0] < 0.5) == (case.azimuths[0] < 0)
        for straight, mirrored in ((a, c), (b, d)):
            assert straight.centre[0] == pytest.approx(1 - mirrored.centre[0])
            assert straight.box[1::2] == pytest.approx(mirrored.box[1::2])


@pytest.mark.slow
def test_the_placement_table_is_written(tmp_path):
    rows: list[str] = []
    options = {
        "methods": ["none", "combined"],
        "controls": ["mono"],
        "steps": 2,
        "out": tmp_path,
        "on_row": rows.append,
    }
    text = bench_placement(n=2, singles=1, **options)
    assert text.count("\n") == 7 and len(rows) == 6 and "combined mono" in text
    lines = json.loads((tmp_path / "rows.json").read_text())
    assert [(line["things"], line["pictures"]) for line in lines] == [(1, 1)] * 3 + [(2, 2)] * 3
    assert {line["ratio"] for line in lines if line["method"] == "none"} == {1.0}
    assert (tmp_path / "2-combined-mono.png").is_file() and (tmp_path / "1-none.png").is_file()
    assert all(0 < line["quality"]["clip"] < 1 for line in lines)


def test_pictures_that_are_there_are_not_drawn_again(tmp_path):
    from PIL import Image

    asked: list[slice] = []

    def draw(part: slice) -> tuple[list, list]:
        asked.append(part)
        return [Image.new("RGB", (4, 4), (i, 0, 0)) for i in range(11)[part]], [[i] for i in range(11)[part]]

    settings = [{"seed": i, "nothing": None} for i in range(11)]
    first = draw_or_load(settings, tmp_path / "row", draw)
    again = draw_or_load(settings, tmp_path / "row", draw)
    assert asked == [slice(0, 8), slice(8, 16)] and len(list((tmp_path / "row").iterdir())) == 11
    assert [each.image.getpixel((0, 0))[0] for each in again] == list(range(11)) == [each.facts[0] for each in first]
    assert [(each.seconds, each.facts) for each in again] == [(each.seconds, each.facts) for each in first]
    (tmp_path / "row" / "0002.png").unlink()
    settings[9] = {"seed": 10}
    draw_or_load(settings, tmp_path / "row", draw)
    assert asked[2:] == [slice(0, 8), slice(8, 16)]  # something is missing in the one, changed in the other


@pytest.mark.slow
def test_end_to_end_is_measured(tmp_path):
    """Two sounds are heard where they are; in one channel no side is known; swapped, both are mirrored."""
    text = bench_end_to_end(n=1, singles=0, methods=["combined"], setups=["panned"], steps=1, out=tmp_path)
    rows = {line["control"]: line for line in json.loads((tmp_path / "rows.json").read_text())}
    assert text.count("\n") == 4 and list(rows) == ["", "swapped", "mono"]
    assert rows[""]["counted"] == rows[""]["heard_side"] == rows["swapped"]["heard_side"] == 1
    assert rows["mono"]["counted"] == rows["mono"]["heard_side"] == 0
    assert (tmp_path / "2-combined-swapped.png").is_file()
    with pytest.raises(OptionError, match="name some"):
        bench_end_to_end(setups=[], out=tmp_path)


@pytest.mark.parametrize("options", [{"n": 0}, {"methods": ["magic"]}, {"tokens": "smell"}, {"controls": ["upside"]}])
def test_what_cannot_be_measured_is_a_sentence(options, tmp_path):
    with pytest.raises(OptionError, match=r"Got .* expected"):
        bench_placement(out=tmp_path, **options)


@pytest.mark.slow
def test_the_cost_table_is_written(tmp_path, forked):
    options = {"geometry": "debug", "device": "cpu", "pictures": 1, "repeats": 1, "out": tmp_path}
    text = bench_guidance(methods=["none", "combined"], **options)
    lines = {line["method"]: line for line in json.loads((tmp_path / "rows.json").read_text())}
    assert not any(line["why"] for line in lines.values()), text
    assert (lines["none"]["updates"], lines["combined"]["updates"]) == (0, 2) and "x plain" in text
    assert all(line["seconds"] > 0 and line["cpu_seconds"] > 0 for line in lines.values())
    with pytest.raises(OptionError, match="change it"):
        bench_guidance(methods=["magic"], out=tmp_path)
