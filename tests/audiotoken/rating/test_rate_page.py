"""The page over HTTP: who gets what, what is refused, and that a killed server has lost nothing."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from threading import Thread

import pytest
from rate_folder import CLIPS, QUESTIONS, SYSTEMS, rate_folder

from audiotoken.errors import OptionError
from audiotoken.rating import server as page
from audiotoken.rating.server import HOST, LONGEST, RatingServer
from audiotoken.rating.store import FILE, Store
from audiotoken.rating.study import read_study
from audiotoken.rating.trials import Trials

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = rate_folder(tmp_path_factory.mktemp("rate") / "study")
    store = Store(folder / FILE)
    with RatingServer(Trials(read_study(folder), store, seed=0), rater='<"anna">') as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()
    store.close()


class Reply:
    def __init__(self, response):
        self.status, self.headers, self.content = response.status, response.headers, response.read()

    @property
    def told(self):
        return json.loads(self.content)


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


def get(server, name, **headers):
    return ask(server.server_port, "GET", f"/{server.token}/{name}", headers=headers)


def post(server, name, fields, **headers):
    body = fields if isinstance(fields, bytes) else json.dumps(fields)
    return ask(server.server_port, "POST", f"/{server.token}/{name}", body, JSON | headers)


def test_the_page_brings_all_it_needs(server):
    shown = get(server, "")
    assert shown.status == 200 and shown.headers["Content-Type"].startswith("text/html")
    assert b'value="&lt;&quot;anna&quot;&gt;"' in shown.content
    for name in re.findall(r'(?:src|href)="([^"]+)"', shown.content.decode()):
        assert get(server, name).status == 200, name
    for name in page.KINDS:  # nothing from elsewhere; the namespace of SVG is a name, not an address
        assert set(re.findall(rb"https?://[^\s\"]+", get(server, name).content)) <= {b"http://www.w3.org/2000/svg"}
    assert b" style=" not in shown.content and b" onclick=" not in shown.content  # the policy would not run them


@pytest.mark.parametrize("name", ["", "page.js", "media/none", "start"])
def test_every_reply_is_fenced_in(server, name):
    headers = get(server, name).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert headers["Server"] == "audiotoken"


def test_rating_over_http(server):
    started = post(server, "start", {"rater": "Anna"})
    assert started.status == 200
    trials = started.told["trials"]
    assert len(trials) == len(CLIPS)
    for name in (*SYSTEMS, *CLIPS):
        assert not re.search(rf'"[^" ]*{name}[^" ]*"', started.content.decode())
    for trial in trials:
        assert get(server, f"media/{trial['sound']}").content.startswith(b"RIFF")
        for picture in trial["pictures"]:
            shown = get(server, f"media/{picture['name']}")
            assert shown.content.startswith(b"\x89PNG") and shown.headers["Content-Type"] == "image/png"
            for question in trial["questions"]:
                answer = question["choices"][1]
                fields = {"rater": "anna", "picture": picture["name"], "question": question["name"], "answer": answer}
                assert post(server, "answer", fields).told == {"stored": True}
    with sqlite_rows(server) as rows:
        assert len(rows) == QUESTIONS
    again = post(server, "start", {"rater": "anna"}).told["trials"]
    given = [picture["answers"] for trial in again for picture in trial["pictures"]]
    assert sum(map(len, given)) == QUESTIONS and {each["belongs"] for each in given} == {"2"}


class sqlite_rows:
    """The answers of anna, as another process would read them."""

    def __init__(self, server):
        self.store = Store(server.trials.store.path)

    def __enter__(self):
        return self.store.answers("anna")

    def __exit__(self, *_):
        self.store.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ratings.sqlite",
        "/wrong-token/",
        "/wrong-token/page.js",
        "//evil.example/",
        "/{token}",
        "/{token}/../ratings.sqlite",
        "/{token}/media/../../ratings.sqlite",
        "/{token}/media/%2e%2e%2fratings.sqlite",
        "/{token}/media/..",
        "/{token}/media/",
        "/{token}/media/page.js",
        "/{token}/page.py",
        "/{token}/ours/dog.png",
        "/{token}/clips/",
        "/{token}/page.js?x",
        "/{token}/page.js\x00",
    ],
)
def test_nothing_else_is_there(server, path):
    with socket.create_connection((HOST, server.server_port), timeout=10) as raw:  # a client would tidy the path
        line = f"GET {path.replace('{token}', server.token)} HTTP/1.1\r\nHost: {HOST}:{server.server_port}\r\n\r\n"
        raw.sendall(line.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", None])
def test_who_came_under_another_name_gets_nothing(server, host):
    """DNS rebinding: a page of evil.example whose name now leads to 127.0.0.1."""
    named = "" if host is None else f"Host: {host.format(port=server.server_port)}\r\n"
    with socket.create_connection((HOST, server.server_port), timeout=10) as raw:
        raw.sendall(f"GET /{server.token}/ HTTP/1.1\r\n{named}\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 421 ")
    assert get(server, "", Host=f"localhost:{server.server_port}").status == 200


def test_other_pages_cannot_send(server):
    for origin in ("http://evil.example", "null", f"https://{HOST}:{server.server_port}"):
        assert post(server, "start", {"rater": "anna"}, Origin=origin).status == 403
    assert post(server, "start", {"rater": "anna"}, Origin=server.url[: -len(server.token) - 2]).status == 200
    for kind in ("text/plain", "application/x-www-form-urlencoded"):  # what a form can send without being asked
        assert post(server, "start", {"rater": "anna"}, **{"Content-Type": kind}).status == 415
    wrong = ask(server.server_port, "POST", f"/{'x' * len(server.token)}/start", '{"rater": "anna"}', JSON)
    assert wrong.status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[]", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * LONGEST, 400),
        (b'{"rater": "' + b"x" * LONGEST + b'"}', 413),
        (b'{"rater": ""}', 400),
        (b'{"rater": {"a": 1}}', 400),
    ],
)
def test_bad_bodies_are_one_sentence(server, body, status):
    refused = post(server, "start", body)
    assert refused.status == status and refused.told["problem"].endswith(".")


def test_length_must_be_said(server):
    path = f"/{server.token}/start"
    for length in ({"Content-Length": "-1"}, {"Content-Length": "1e3"}, {"Transfer-Encoding": "chunked"}):
        assert ask(server.server_port, "POST", path, headers=JSON | length).status == 411


def test_bad_answers_are_not_stored(server):
    trial = next(each for each in post(server, "start", {"rater": "eve"}).told["trials"] if len(each["questions"]) == 1)
    good = {"rater": "eve", "picture": trial["pictures"][0]["name"], "question": "belongs", "answer": "3"}
    bad = [
        {"picture": trial["sound"]},
        {"picture": None},
        {"question": "side: frog on the left", "answer": "yes"},
        {"question": []},
    ]
    bad += [{"answer": "6"}, {"answer": 3}, {"answer": "yes"}, {"answer": ["3"]}, {"rater": " "}]
    for wrong in bad:
        assert post(server, "answer", good | wrong).status == 400, wrong
    assert server.trials.store.answers("eve") == []
    assert post(server, "answer", good).status == 200


def test_a_sound_can_be_wound(server):
    name = f"media/{post(server, 'start', {'rater': 'dan'}).told['trials'][0]['sound']}"
    whole = get(server, name)
    size = len(whole.content)
    part = get(server, name, Range="bytes=100-199")
    assert (part.status, part.content) == (206, whole.content[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{size}"
    assert get(server, name, Range=f"bytes={size - 5}-").content == whole.content[-5:]
    assert get(server, name, Range=f"bytes={size}-").status == 416
    assert get(server, name, Range="bytes=9-3").status == 416


@pytest.mark.parametrize("line", [b"nonsense\r\n\r\n", b"DELETE / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_no_request_gets_a_fenced_answer(server, line):
    with socket.create_connection((HOST, server.server_port), timeout=10) as raw:
        raw.sendall(line)
        said = b"".join(iter(lambda: raw.recv(4096), b""))
    assert b"problem" in said and b"Traceback" not in said


def test_a_port_that_is_taken_is_one_sentence(server):
    with pytest.raises(OptionError, match=f"Cannot listen on port {server.server_port}"):
        RatingServer(server.trials, port=server.server_port)


RUN = """
import signal, sys
from audiotoken.cli.app import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
sys.argv[1:1] = ["rate"]
main()
"""


@pytest.fixture
def start():
    started = []

    def begin(folder, *options):
        command = [sys.executable, "-c", RUN, str(folder), "--no-open", *options]
        started.append(process := subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        _, url = process.stdout.readline().split()
        process.stdout.readline()
        port, token = re.fullmatch(rf"http://{HOST}:(\d+)/([\w-]+)/", url).groups()
        return process, int(port), token

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_killed_server_keeps_every_answer_and_ctrl_c_is_a_good_end(tmp_path, start):
    folder = rate_folder(tmp_path / "study")
    process, port, token = start(folder)
    told = ask(port, "POST", f"/{token}/start", '{"rater": "anna"}', JSON).told
    for answer in ("1", "4"):
        fields = {"rater": "anna", "question": "belongs", "answer": answer}
        body = json.dumps(fields | {"picture": told["trials"][0]["pictures"][int(answer) // 4]["name"]})
        assert ask(port, "POST", f"/{token}/answer", body, JSON).status == 200
    process.kill()
    process.communicate()
    process, port, other = start(folder, "--seed", "5")
    assert other != token
    again = ask(port, "POST", f"/{other}/start", '{"rater": "anna"}', JSON).told
    given = [[picture["answers"] for picture in trial["pictures"]] for trial in again["trials"]]
    assert given == [[{"belongs": "1"}, {"belongs": "4"}], [{}, {}], [{}, {}]]
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "stored 2 answers" in said
