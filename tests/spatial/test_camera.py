"""Boxes of sources with known azimuths."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial.camera import LEAST, Camera
from spatial.errors import SpatialError
from spatial.scene import Direction, Source
from spatial.shapes import Shape

SIGNAL = np.zeros(8, np.float32)


def source(azimuth=0.0, spread=0.0, level=-30.0, path=()):
    return Source(SIGNAL, Direction(azimuth, spread), level, tuple(path))


def middle(box):
    return (box[0] + box[2]) / 2


def test_an_azimuth_is_projected_like_by_a_pinhole():
    camera = Camera(fov=90)
    assert (
        camera.project(0) == 0.5 and camera.project(45) == pytest.approx(1) and camera.project(-45) == pytest.approx(0)
    )
    assert camera.project(31) == pytest.approx(0.5 + 0.5 * math.tan(math.radians(31)))
    assert middle(camera.box(source(-17))) == pytest.approx(0.5 - 0.5 * math.tan(math.radians(17)))
    assert Camera(fov=120).project(31) == pytest.approx(
        0.5 + 0.5 * math.tan(math.radians(31)) / math.tan(math.radians(60))
    )


def test_the_right_is_right_and_the_mirror_is_the_mirror():
    left, right = (Camera().box(source(azimuth, spread=7)) for azimuth in (-23, 23))
    assert middle(right) > 0.5 > middle(left)
    assert right == pytest.approx((1 - left[2], left[1], 1 - left[0], left[3]))


def test_a_source_out_of_view_is_whole_at_the_edge():
    box, edge = Camera(fov=60).box(source(80)), Camera(fov=60).box(source(30))
    assert box == edge and box[2] == 1.0
    assert box[2] - box[0] == pytest.approx(np.subtract(*Camera(fov=60).box(source(0))[2::-2]))


def test_louder_is_nearer_larger_and_lower():
    quiet, loud = (Camera().box(source(level=level)) for level in (-42, -14))
    assert loud[3] - loud[1] > 1.5 * (quiet[3] - quiet[1]) and loud[2] - loud[0] > quiet[2] - quiet[0]
    assert loud[3] > quiet[3] > 0.5 > quiet[1] > loud[1]  # both stand on the ground and reach above the horizon
    assert Camera().box(source(level=-300)) == Camera().box(source(level=-math.inf))


def test_lift_raises_the_box():
    ground, air, top = (Camera().box(source(12), shape=Shape(lift=lift)) for lift in (0, 0.6, 1))
    assert top[1] == 0 < air[1] < ground[1] and air[3] < ground[3]
    assert top[3] - top[1] == pytest.approx(ground[3] - ground[1]) and (top[0], top[2]) == (ground[0], ground[2])


def test_a_wide_sound_is_a_wide_box():
    narrow, wide, all_around = (Camera().box(source(-5, spread, level=-50)) for spread in (4, 25, 90))
    assert wide[2] - wide[0] == pytest.approx(math.tan(math.radians(25)))
    assert narrow[2] - narrow[0] < 0.6 * (wide[2] - wide[0]) and 0.85 < all_around[2] - all_around[0] < 1


def test_a_moving_source_is_where_it_is_at_that_time():
    moving = source(-3, path=[(0.0, -38.0), (2.0, 2.0), (4.0, 12.0)])
    assert middle(Camera().box(moving, 2.0)) == pytest.approx(Camera().project(2.0))
    assert Camera().box(moving, 1.0) == Camera().box(source(-18.0))
    assert Camera().box(moving, 99.0) == Camera().box(source(12.0))


def test_without_a_time_the_box_is_as_wide_as_the_path():
    path = Camera().box(source(-3, path=[(0.0, -28.0), (3.0, 11.0)], level=-50))
    ends = Camera().box(source(-28.0, level=-50)), Camera().box(source(11.0, level=-50))
    assert (path[0], path[2]) == pytest.approx((ends[0][0], ends[1][2]))
    assert middle(path) == pytest.approx((Camera().project(-28) + Camera().project(11)) / 2)


def test_boxes_that_do_not_meet_are_left_alone():
    sources = [source(33, level=-50), source(-20, level=-50)]
    assert Camera().boxes(sources) == [Camera().box(each) for each in sources]
    assert Camera().boxes([]) == [] and Camera().boxes(sources[:1]) == [Camera().box(sources[0])]


def test_boxes_that_meet_are_narrowed_about_where_they_are_heard():
    right, left = Camera().boxes([source(21, level=-15), source(-7, level=-15)])
    assert left[2] <= right[0] and right[0] - left[2] < 0.01
    assert middle(left) == pytest.approx(Camera().project(-7)) and middle(right) == pytest.approx(Camera().project(21))


def test_sources_from_one_direction_stand_side_by_side():
    boxes = Camera().boxes([source(11)] * 3)
    assert [box[2] - box[0] for box in boxes] == pytest.approx([LEAST] * 3)
    assert middle(boxes[1]) == pytest.approx(Camera().project(11))
    assert boxes[0][2] == pytest.approx(boxes[1][0]) and boxes[1][2] == pytest.approx(boxes[2][0])


def test_no_box_is_taller_than_its_thing_is_for_its_width():
    alone, tall, wide = (Camera().box(source(12), shape=Shape(aspect)) for aspect in (1.0, 0.5, 2.0))
    for box, aspect in ((alone, 1.0), (tall, 0.5), (wide, 2.0)):
        x0, y0, x1, y1 = box
        assert (x1 - x0) / (y1 - y0) == pytest.approx(aspect)
        assert (x1 - x0) * (y1 - y0) == pytest.approx((alone[2] - alone[0]) ** 2) and y1 == pytest.approx(alone[3])
    beside = Camera().boxes([source(-7, level=-15), source(7, level=-15)], shapes=[Shape(1.5)] * 2)
    for x0, y0, x1, y1 in beside:  # narrowed, and lower for it
        assert x1 - x0 < 0.3 and y1 - y0 == pytest.approx(max(LEAST, (x1 - x0) / 1.5)) and y1 > 0.7


def test_each_has_its_own_lift_and_time():
    sources = [source(0, path=[(0.0, 30.0), (1.0, -30.0)]), source(5)]
    before, after = (Camera().boxes(sources, time, shapes=[Shape(lift=1), Shape()]) for time in (0.0, 1.0))
    assert middle(before[0]) > middle(before[1]) and middle(after[0]) < middle(after[1])
    assert before[0][1] == 0 < before[1][1]


sources = st.builds(
    source,
    azimuth=st.floats(-90, 90),
    spread=st.floats(0, 90),
    level=st.floats(-120, 6),
    path=st.lists(st.tuples(st.floats(0, 5), st.floats(-90, 90)), max_size=3).map(sorted),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(sources, max_size=9), st.floats(5, 160), st.none() | st.floats(0, 5))
def test_boxes_are_inside_apart_in_order_and_never_empty(found, fov, time):
    camera = Camera(fov)
    boxes = camera.boxes(found, time)
    assert len(boxes) == len(found)
    for x0, y0, x1, y1 in boxes:
        assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 and x1 - x0 > 0.05
    for box, (i, one) in zip(boxes, enumerate(found), strict=True):
        for j, other in enumerate(found):
            if i == j:
                continue
            assert box[2] <= boxes[j][0] or boxes[j][2] <= box[0]
            if time is not None and one.azimuth_at(time) < other.azimuth_at(time):
                assert box[2] <= boxes[j][0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-90, 90), max_size=5, unique=True), st.floats(-60, 0))
def test_the_mirrored_scene_has_the_mirrored_boxes(azimuths, level):
    boxes = Camera().boxes([source(azimuth, level=level) for azimuth in azimuths])
    mirrored = Camera().boxes([source(-azimuth, level=level) for azimuth in azimuths])
    for (x0, y0, x1, y1), other in zip(boxes, mirrored, strict=True):
        assert (1 - x1, y0, 1 - x0, y1) == pytest.approx(other, abs=1e-9)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: Camera(fov=180), "fov=180, expected 1 to 170 degrees"),
        (lambda: Camera().box(source(math.nan)), "without a number for azimuth"),
        (lambda: Camera().box(source(path=[(0.0, math.inf)])), "without a number for azimuth"),
        (lambda: Camera().boxes([source()], shapes=[Shape(), Shape()]), "2 shapes for 1 sources"),
    ],
)
def test_invalid_input_is_refused(act, words):
    with pytest.raises(SpatialError, match=words):
        act()


@pytest.mark.parametrize("fov", [40.0, 90.0, 150.0])
def test_unproject_is_the_inverse_within_the_view(fov):
    camera = Camera(fov)
    for azimuth in (-fov / 2, -13.0, 0.0, 17.0, fov / 2):
        assert camera.unproject(camera.project(azimuth)) == pytest.approx(azimuth)
    assert camera.unproject(camera.project(89.0)) == pytest.approx(fov / 2)  # out of view: at the edge
