"""The page as it is served: to this computer only, with nothing from elsewhere; skipped without Gradio."""

import re
import socket
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from page_server import served
from typer.testing import CliRunner

from audiotoken.cli.app import app

pytest.importorskip("gradio", reason="no Gradio here: pip install 'spatial-audiotoken[demo]'")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    asked, connect = [], socket.socket.connect

    def noted(self, address):
        asked.append(address)
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", noted)
        with served(tmp_path_factory.mktemp("page")) as page:
            page.asked = asked
            yield page


def test_page_is_local_only(page):
    assert page.server_name == "127.0.0.1" and page.local_url.startswith("http://127.0.0.1:")
    hosts = {address[0] for address in page.asked if isinstance(address, tuple)}
    assert hosts <= {"127.0.0.1", "::1", "localhost"}
    assert page.share_url is None and not page.analytics_enabled


def test_policy_forbids_other_hosts(page):
    answer = urlopen(page.local_url)
    policy, html = answer.headers["content-security-policy"], answer.read().decode()
    assert "default-src 'self'" in policy and "http" not in policy
    loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?(?:https?:)?//([^/\"'>]+)", html)
    assert loaded == []
    assert "fonts.googleapis" not in html and "cdnjs" not in html


def test_other_sites_may_not_use_it(page):
    request = Request(page.local_url + "gradio_api/queue/join", b"{}", {"Origin": "https://example.org"})
    try:
        answer = urlopen(request)
        assert answer.headers.get("access-control-allow-origin") is None
    except HTTPError as error:
        assert error.code in (401, 403, 422) and error.headers.get("access-control-allow-origin") is None


def test_files_of_this_computer_are_not_served(page, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("mine")
    with pytest.raises(HTTPError, match=r"40[34]"):
        urlopen(f"{page.local_url}gradio_api/file={secret}")


def test_one_picture_at_a_time(page):
    jobs = [each for each in page.fns.values() if each.concurrency_id == "model"]
    assert len(jobs) >= 5 and {each.concurrency_limit for each in jobs} == {1}
    assert {"listen", "generate", "compare", "film", "match"} <= {each.fn.__name__ for each in jobs}


@pytest.mark.parametrize(
    ("options", "said", "lines"),
    [
        (["--model", "nowhere/at/all"], "nowhere/at/all", 1),
        (["--dtype", "float8"], "'float8' is not one of 'float32'", 4),  # with the usage before it
    ],
)
def test_wrong_options_are_errors(options, said, lines):
    result = CliRunner().invoke(app, ["demo", "--no-open", "--device", "cpu", *options])
    assert result.exit_code == 2 and said in result.output and result.output.count("\n") == lines


def test_taken_port_is_an_error(page, tmp_path):
    from audiotoken.debug import debug_pipeline
    from audiotoken.errors import OptionError
    from audiotoken.page.launch import serve

    with pytest.raises(OptionError, match=rf"Cannot open port {page.server_port} of 127\.0\.0\.1: .*; choose another"):
        serve(debug_pipeline(), tmp_path, port=page.server_port)
