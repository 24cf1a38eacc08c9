"""A page that others can reach: what is warned of, and what is refused."""

import asyncio
import re
import socket

import pytest
from paths import ROOT
from typer.testing import CliRunner

from audiotoken import serving
from audiotoken.cli.app import app
from audiotoken.debug import debug_pipeline
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0", "--mcp"], "tools read any file of this computer"),
        (["--port", "PORT"], "is taken"),
        (["--host", "no..host"], "Cannot open a port from 7860 to 7959 of no..host"),
    ],
)
def test_what_cannot_be_served_is_refused_before_loading(options, message):
    with socket.create_server((serving.HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["demo", *(port if each == "PORT" else each for each in options)])
    assert result.exit_code == 2 and message in result.stderr and "loading" not in result.stderr


@pytest.mark.slow
def test_the_app_of_a_space_builds_the_page_for_all(tmp_path, monkeypatch):
    pytest.importorskip("gradio", reason="no Gradio here: pip install 'spatial-audiotoken[demo]'")
    launched = {}
    monkeypatch.setattr(launch, "check_access", lambda *where, **more: None)  # port 7860 may be taken here
    monkeypatch.setattr(launch, "load_pipeline", lambda *options: debug_pipeline())
    monkeypatch.setattr(launch, "launch_blocks", lambda blocks, **options: launched.update(options, blocks=blocks))
    monkeypatch.setattr(launch, "run_page", lambda start, **options: start(tmp_path))
    code = re.search(r"### A Space.*?```python\n(.*?)```", (ROOT / "docs" / "page.md").read_text(), re.DOTALL)[1]
    exec(code, {"__name__": "__main__"})
    assert (launched["host"], launched["port"]) == ("0.0.0.0", 7860)
    assert "No data leaves this computer" not in str(launched["blocks"].get_config_file())


@pytest.mark.parametrize("space", [True, False])
def test_only_a_space_is_shown_in_a_frame_of_another_site(space, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "someone/sounds") if space else monkeypatch.delenv("SPACE_ID", raising=False)
    sent = []

    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    asyncio.run(serving.SecurityHeaders(page)({}, None, send))
    policy = dict(sent[0]["headers"])[b"content-security-policy"].decode()
    assert policy.endswith("frame-ancestors 'self'" + " https://huggingface.co" * space)
