"""A page that others can reach: what is warned of, and what is refused."""

import pytest
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.page import launch
from audiotoken.serving import is_local


@pytest.mark.parametrize(
    ("where", "local"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"share": True}, False),
        ({"root_path": "/sound"}, False),
    ],
)
def test_who_can_reach_a_page(where, local):
    assert is_local(**where) == local


@pytest.mark.parametrize("option", [["--host", "0.0.0.0"], ["--share"], ["--root-path", "/sound"], []])
def test_others_are_warned_of_and_loading_is_said_at_once(option, monkeypatch):
    received = {}

    def open_page(model, **options):
        received.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "open_page", open_page)
    result = CliRunner().invoke(app, ["demo", *option])
    assert result.stderr.startswith("loading mini ...")
    assert ("no password" in result.stderr) == bool(option)
    assert (received["host"], received["share"], received["root_path"]) != ("127.0.0.1", False, None) or not option


def test_tools_are_not_offered_to_others():
    result = CliRunner().invoke(app, ["demo", "--host", "0.0.0.0", "--mcp"])
    assert result.exit_code == 2 and "tools read any file of this computer" in result.stderr
