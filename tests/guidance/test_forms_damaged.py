"""Layouts that people or programs changed: what is read back is a layout, or a sentence."""

import json
import math
import random
from xml.etree import ElementTree as ET

import pytest

from guidance import Entry, Layout
from guidance.errors import RegionError
from guidance.forms import FORMS

STREET = Layout(
    "a frog and a bell",
    (Entry("frog", (0.0, 0.2, 0.35, 0.7), "a frog"), Entry("bell", (0.6, 0.3, 1.0, 1.0), "a bell")),
    (1280, 720),
)
JUNK = (
    None,
    True,
    0,
    -1,
    3,
    1e-9,
    10**400,
    math.nan,
    math.inf,
    "",
    "abc",
    "\ud800",
    [],
    [1],
    {},
    {"id": [1]},
    [[]],
    "[",
)


def list_places(value, place=()):
    """The way to each node of a JSON value, the value itself first."""
    yield place
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from list_places(each, (*place, key))


def replace_node(value, place, junk):
    """A copy with the node at this place replaced."""
    if not place:
        return junk
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = replace_node(value[place[0]], place[1:], junk)
    return copy


def drop_node(value, place):
    """A copy without the node at this place."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(place) == 1:
        del copy[place[0]]
    else:
        copy[place[0]] = drop_node(value[place[0]], place[1:])
    return copy


def read_or_refuse(form, text: str, what) -> None:
    try:
        layout = form.read(text, (640, 480))
    except RegionError as error:
        assert str(error).endswith("."), (what, error)
    else:
        form.write(layout)


@pytest.mark.parametrize(
    "form", [form for form in FORMS.values() if form.suffix == ".json"], ids=lambda form: form.name
)
def test_every_value_of_a_json_form_may_be_anything(form):
    whole = json.loads(form.write(STREET))
    for place in list_places(whole):
        for junk in JUNK:
            read_or_refuse(form, json.dumps(replace_node(whole, place, junk)), (place, junk))
        if place:
            read_or_refuse(form, json.dumps(drop_node(whole, place)), (place, "dropped"))


def test_every_row_of_flux3s_text_may_be_anything():
    form = FORMS["flux3-text"]
    text = form.write(STREET)
    start = text.index("[")
    rows = json.loads(text[start:])
    for place in list_places(rows):
        for junk in JUNK:
            read_or_refuse(form, text[:start] + json.dumps(replace_node(rows, place, junk)), (place, junk))


def test_every_attribute_of_the_svg_may_be_anything():
    form = FORMS["svg"]
    text = form.write(STREET)
    for number, element in enumerate(ET.fromstring(text).iter()):
        for key in list(element.attrib):
            for junk in ("", "abc", "nan", "inf", "-3", "0", "1e400", "10%", "1" * 400):
                root = ET.fromstring(text)
                list(root.iter())[number].set(key, junk)
                read_or_refuse(form, ET.tostring(root, encoding="unicode"), (element.tag, key, junk))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_text_that_is_cut_or_has_other_letters_is_read_or_refused(form):
    text, rng = form.write(STREET), random.Random(3)
    for at in range(0, len(text), 7):
        read_or_refuse(form, text[:at], ("cut", at))
        other = text[:at] + rng.choice('{}[]",:0<>/&\\') + text[at + 1 :]
        read_or_refuse(form, other, ("changed", at))
