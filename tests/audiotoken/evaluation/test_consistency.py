"""Seen where it is heard: known answers, and controls that must give chance."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from audiotoken.errors import OptionError
from audiotoken.evaluation.consistency import Check, Frame, Heard, check_picture, summarize
from audiotoken.evaluation.consistency_figure import draw_checks
from audiotoken.evaluation.seeing import check_words, see_painted
from guidance.metrics import Detection
from spatial.camera import Camera
from spatial.scene import Direction, Source

CAMERA = Camera()


def hear(word: str, azimuth: float, path=()) -> Heard:
    source = Source(np.zeros(1, np.float32), Direction(azimuth, 2.0), -20.0, path)
    return Heard(word, source, CAMERA.box(source))


def see(word: str, azimuth: float, score: float = 0.9) -> Detection:
    source = Source(np.zeros(1, np.float32), Direction(azimuth, 2.0), -20.0)
    return Detection(word, (CAMERA.project(azimuth), 0.5), CAMERA.box(source), 0.1, score)


def check(heard, *detections, seconds=None) -> Check:
    return check_picture(heard, [Frame(seconds, detections)], CAMERA)


def swap(heard):
    turned = [
        replace(each.source, direction=replace(each.source.direction, azimuth=-each.source.direction.azimuth))
        for each in heard
    ]
    return [replace(each, source=source, box=CAMERA.box(source)) for each, source in zip(heard, turned, strict=True)]


STREET = [hear("frog", -25.0), hear("bell", 31.0)]


def test_what_is_seen_where_it_is_heard_scores_one():
    one = check(STREET, see("bell", 31.0), see("frog", -25.0), see("cat", 0.0))
    assert one.score == 1 and one.order == 1 and one.compares
    assert one.max_iou == pytest.approx(1) and one.ltsim == pytest.approx(1)
    assert [(thing.word, thing.side, thing.found, thing.confidence) for thing in one.things] == [
        ("frog", 1.0, 1.0, 0.9),
        ("bell", 1.0, 1.0, 0.9),
    ]
    assert [thing.degrees_off for thing in one.things] == pytest.approx([0, 0], abs=1e-9)


def test_degrees_off_are_those_between_heard_and_seen():
    thing = check([hear("frog", -25.0)], see("frog", -12.0)).things[0]
    assert thing.seen == pytest.approx(-12.0) and thing.degrees_off == pytest.approx(13.0)


things = st.lists(st.tuples(st.sampled_from("abcd"), st.floats(-44, 44), st.floats(-44, 44)), max_size=4)


@given(things, st.data())
@settings(max_examples=80)
def test_swapped_channels_give_one_minus_the_score(rows, data):
    heard = [hear(word, azimuth) for word, azimuth, _ in rows]
    seen = [see(word, azimuth) for word, _, azimuth in rows if data.draw(st.booleans())]
    straight, swapped = check(heard, *seen), check(swap(heard), *seen)
    assert straight.score + swapped.score == pytest.approx(1) and straight.compares == swapped.compares


def test_a_recording_without_directions_gives_chance():
    assert check([]).score == 0.5 and not check([]).compares
    ahead = check([hear("frog", 1.0), hear("bell", -2.0)], see("frog", -30.0), see("bell", 30.0))
    assert ahead.score == 0.5 and not ahead.compares and ahead.things[0].side is None


def test_what_is_not_seen_gives_chance():
    empty = check(STREET)
    assert empty.score == 0.5 and empty.compares and empty.max_iou == 0
    assert check(STREET, see("frog", -20.0)).score == pytest.approx((0.75 + 0.5) / 2)  # a side right, one unknown


def test_random_places_give_chance_over_many():
    rng = np.random.default_rng(3)
    checks = [check(STREET, *(see(word, float(rng.uniform(-44, 44))) for word in ("frog", "bell"))) for _ in range(200)]
    score = summarize(checks).score
    assert abs(score.mean - 0.5) < 0.1 and score.low < 0.55 and score.high > 0.45


def test_two_of_one_word_are_told_apart_from_left_to_right():
    frogs = [hear("frog", 30.0), hear("frog", -30.0)]
    both = check(frogs, see("frog", -30.0), see("frog", 30.0), see("frog", 0.0, 0.2))
    assert [thing.seen for thing in both.things] == pytest.approx([30.0, -30.0])
    assert both.order is None and not both.compares  # swapped channels would be the same scene


def test_a_film_is_checked_at_each_time():
    car = hear("car", 0.0, path=((0.0, -40.0), (4.0, 40.0)))
    with_it = [Frame(t, (see("car", -40.0 + 20 * t),)) for t in (0.5, 1.5, 2.5, 3.5)]
    against = [Frame(t, (see("car", 40.0 - 20 * t),)) for t in (0.5, 1.5, 2.5, 3.5)]
    good, bad = (check_picture([car], frames, CAMERA) for frames in (with_it, against))
    assert good.score == 1 and good.things[0].degrees_off == pytest.approx(0, abs=1e-6)
    assert bad.score == 0 and bad.things[0].degrees_off == pytest.approx(40.0)


def test_a_summary_leaves_out_what_has_nothing_to_compare():
    good = check(STREET, see("bell", 31.0), see("frog", -25.0))
    summary = summarize([good, good, check([])])
    assert summary.pictures == 2 and summary.score.mean == summary.score.low == 1
    nothing = summarize([check([])])
    assert nothing.pictures == 0 and math.isnan(nothing.score.mean)


def test_a_figure_of_any_check_is_drawn():
    picture = Image.new("RGB", (64, 48), "white")
    for checks in ([check(STREET, see("bell", 31.0))], [check([])], [check(STREET)] * 3):
        assert draw_checks(checks, summarize(checks), picture).size == (1320, 660)


def test_mini_sees_the_painted_things_only():
    blank = Image.new("RGB", (200, 128), "white")
    assert see_painted([blank], [["frog", "unicorn"]]) == [[]] and see_painted([], []) == []
    with pytest.raises(OptionError, match="not unicorn;"):
        check_words("mini", ["frog", "unicorn"])
    check_words("google/owlv2-base-patch16-ensemble", ["unicorn"])
