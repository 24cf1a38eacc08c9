"""Types of parameters hold for configurations: a wrong value is one sentence with the key, the type and the value."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hydra.utils import get_object

from audiotoken.cli.composing import FUNCTIONS, NESTED, compose_config, instantiate_source
from audiotoken.cli.schemas import convert_options, describe_type, types_of
from audiotoken.cli.signatures import read_signature
from audiotoken.errors import DataError, OptionError


@dataclasses.dataclass
class Inner:
    rate: float = 0.5


def draw(
    clip: str | os.PathLike,
    count: int = 1,
    *,
    scale: float | None = None,
    seeds: Sequence[int] = (0,),
    words: Mapping[str, str] | None = None,
    report: bool = False,
    inner: Mapping[str, Any] | None = None,
    places: "str | Sequence[str | os.PathLike] | None" = "",
    on_step: Any = None,
) -> None:
    pass


def test_every_parameter_but_callbacks_has_types():
    kinds = types_of(draw)
    assert list(kinds) == ["clip", "count", "scale", "seeds", "words", "report", "inner", "places"]
    assert kinds["clip"] == (str,) and kinds["count"] == (int,) and kinds["seeds"] == (list[int],)
    assert kinds["places"] == (str, list[str] | None)


@pytest.mark.parametrize(
    "path",
    [
        *FUNCTIONS.values(),
        *(path for nested in NESTED.values() for path in nested.values()),
        "audiotoken.tasks.folder.draw_folder",
        "audiotoken.assembly.assemble.assemble",
    ],
)
def test_a_signature_that_is_read_from_the_source_has_the_types_of_the_function(path):
    read, real = types_of(read_signature(path)), types_of(get_object(path))
    assert read.items() <= real.items() and len(read) >= 0.8 * len(real) > 0


def test_values_take_the_type_of_their_parameter():
    options = {"clip": 1, "count": "8", "scale": 2, "seeds": ["3", 4], "report": "yes", "strange": object}
    converted = convert_options(draw, options)
    assert converted == {"clip": "1", "count": 8, "scale": 2, "seeds": [3, 4], "report": True, "strange": object}
    assert isinstance(converted["scale"], int)
    assert convert_options(draw, {"clip": "???"}) == {"clip": "???"}
    assert [convert_options(draw, {"places": each})["places"] for each in (1, [1], None)] == ["1", ["1"], None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": "abc"}, "Got a.count=abc, expected a whole number; change a.count."),
        ({"count": 1.5}, "Got a.count=1.5, expected a whole number;"),
        ({"count": True}, "Got a.count=True, expected a whole number;"),
        ({"count": None}, "Got a.count=null, expected a whole number;"),
        ({"scale": "big"}, "Got a.scale=big, expected a number or null;"),
        ({"clip": [1]}, r"Got a.clip=\[1\], expected text;"),
        ({"seeds": 3}, "Got a.seeds=3, expected a list of whole numbers;"),
        ({"seeds": ["a"]}, r"Got a.seeds=\['a'\], expected a list of whole numbers;"),
        ({"words": [1]}, r"Got a.words=\[1\], expected keys with values or null;"),
        ({"report": "maybe"}, "Got a.report=maybe, expected true or false;"),
        ({"places": {"a": 1}}, "Got a.places={'a': 1}, expected text or a list of texts or null;"),
        ({"inner": {"rate": "x"}}, "Got a.inner.rate=x, expected a number;"),
    ],
)
def test_a_wrong_type_is_one_sentence(options, message):
    with pytest.raises(OptionError, match=message) as error:
        convert_options(draw, options, "a.", {"inner": Inner})
    assert "\n" not in str(error.value)


def test_types_in_words():
    assert describe_type(int | float | None) == "a whole number or a number or null"
    assert describe_type(list[str]) == "a list of texts" and describe_type(list[Any]) == "a list"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("train", "batch=abc", "Got batch=abc, expected a whole number"),
        ("train", "settings.learning_rate=fast", "Got settings.learning_rate=fast, expected a number"),
        ("train", "settings.weights.token_l1=[1]", r"Got settings.weights.token_l1=\[1\], expected a number"),
        ("train", "embedder.dropout=none", "Got embedder.dropout=none, expected a number"),
        ("train", "data=[1]", r"Got data=\[1\], expected text or null"),
        ("prepare", "seconds=long", "Got seconds=long, expected a number"),
        ("prepare", "workers=1.5", "Got workers=1.5, expected a whole number or null"),
        ("evaluate", "seeds=1", "Got seeds=1, expected a list of whole numbers"),
        ("evaluate", "folds=[a]", r"Got folds=\['a'\], expected a list of whole numbers or null"),
    ],
)
def test_wrong_types_of_the_commands(name, value, message):
    with pytest.raises(OptionError, match=message):
        compose_config(name, [], [value], {})


def test_a_value_without_a_key_is_a_sentence():
    """Hydra fails on it with an error of Python's."""
    with pytest.raises(OptionError, match="Got =5, expected KEY=VALUE"):
        compose_config("train", [], ["=5"], {})


def test_a_folder_may_be_called_1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert compose_config("train", [], ["data=1"], {})["data"] == "1"
    with pytest.raises(DataError, match="There is no folder 1"):
        instantiate_source({"_target_": "audiotoken.data.PairFolder", "folder": 1})
    (tmp_path / "1").mkdir()
    with pytest.raises(DataError, match="Found no pair in 1"):
        instantiate_source({"_target_": "audiotoken.data.PairFolder", "folder": 1})


def test_wrong_types_of_a_source():
    with pytest.raises(OptionError, match=r"Got source.esc10_only=3.5, expected true or false"):
        instantiate_source({"_target_": "audiotoken.data.EscFolder", "audio": "a", "pictures": "b", "esc10_only": 3.5})
    with pytest.raises(OptionError, match=r"Got no source.folder; pass source.folder="):
        instantiate_source({"_target_": "audiotoken.data.PairFolder", "folder": "???"})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_key_has_a_type(name):
    """Any would let every value through; what is taken apart before the call may be."""
    from hydra.utils import get_object

    untyped = {key for key, kinds in types_of(get_object(FUNCTIONS[name])).items() if Any in kinds}
    assert untyped <= {"source", "data"}
