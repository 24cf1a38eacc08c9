"""What the page's buttons do, and what its server gives to whom; without a browser."""

import re
import socket
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from rate_folder import CLIPS, OBJECTS, QUESTIONS, SYSTEMS, rate_folder, served
from typer.testing import CliRunner

from audiotoken import rating
from audiotoken.cli.app import app
from audiotoken.errors import OptionError
from audiotoken.rating.store import FILE, Store
from audiotoken.rating.study import read_study
from audiotoken.rating.trials import Trials
from audiotoken.serving import HOST

GRADIO = "no Gradio here: pip install 'spatial-audiotoken[demo]'"


class Tab:
    """One open page: its elements keep what the handlers return for them."""

    def __init__(self, page):
        self.page, self.screens, self.state = page, page.screens, {}
        self.state[page.visit] = page.visit.value

    def update(self, updates):
        for element, value in updates.items():
            changes = value if isinstance(value, dict) and value.get("__type__") == "update" else {"value": value}
            self.state[element] = value if element is self.page.visit else {**self.state.get(element, {}), **changes}
        return self

    def start(self, name):
        return self.update(self.page.start(name))

    def click(self, name):
        return self.update(getattr(self.page, f"show_{name}")(self.visit))

    def play(self):
        return self.update(self.page.note_heard(self.visit))

    def choose(self, radio, answer):
        values = [value for _, value in self.state[radio]["choices"] if value.endswith(f":{answer}")]
        return self.update(self.page.answer(self.visit, values[0], radio))

    def answer_all(self):
        self.play()
        for radio in self.radios:
            self.choose(radio, "2" if len(self.state[radio]["choices"]) == 6 else "yes")
        return self

    @property
    def visit(self):
        return self.state[self.page.visit]

    @property
    def radios(self):
        return [radio for row in self.screens.radios for radio in row if self.state[radio]["visible"]]

    @property
    def answers(self):
        return [value and value.partition(":")[2] for value in (self.state[radio]["value"] for radio in self.radios)]

    @property
    def notice(self):
        return self.state[self.screens.notice]["value"]

    @property
    def screen(self):
        return [name for name in ("welcome", "trial", "end") if self.state[getattr(self.screens, name)]["visible"]]


@pytest.fixture
def page(tmp_path, monkeypatch):
    gr = pytest.importorskip("gradio", reason=GRADIO)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    folder = rate_folder(tmp_path / "study")
    store = Store(folder / FILE)
    with gr.Blocks(analytics_enabled=False):
        yield rating.app.RatingPage(Trials(read_study(folder), store, tmp_path), rater="anna")
    store.close()


def test_a_whole_study(page):
    tab = Tab(page).start("Anna")
    for place in range(len(CLIPS)):
        assert f"Sound {place + 1} of 3" in tab.state[tab.screens.progress]["value"]
        assert set(tab.answers) == {None} and tab.screen == ["trial"]
        assert set(tab.answer_all().answers) <= {"2", "yes"}
        tab.click("next")
    assert tab.screen == ["end"] and "6 pictures of 3 sounds" in tab.state[tab.screens.thanks]["value"]
    stored = page.trials.store.answers()
    assert len(stored) == QUESTIONS and {each.rater for each in stored} == {"anna"}
    assert Tab(page).start("anna ").screen == ["end"]
    assert tab.click("last").screen == ["trial"] and None not in tab.answers


def test_who_comes_back_continues_at_the_first_open_question(page):
    first = Tab(page).start("anna").answer_all().click("next")
    assert Tab(page).start(" ANNA ").visit == first.visit and first.visit.place == 1
    assert Tab(page).start("ben").visit.place == 0


def test_an_answer_can_be_changed(page):
    tab = Tab(page).start("anna").answer_all().click("next").click("previous")
    assert tab.visit.place == 0 and tab.visit.heard  # it was heard before
    tab.choose(tab.radios[0], "5")
    assert tab.answers[0] == "5" and [each.answer for each in page.trials.store.answers()].count("5") == 1
    tab.click("next")
    assert tab.visit.place == 1 and not tab.visit.heard


def test_two_raters_at_once(page):
    anna, ben = Tab(page).start("anna"), Tab(page).start("ben")
    anna.play().choose(anna.radios[0], "1")
    ben.play().choose(ben.radios[0], "5")
    anna.choose(anna.radios[1], "cannot say")
    assert anna.answers[0] == "1" and ben.answers[0] == "5"
    stored = [(each.rater, each.answer) for each in page.trials.store.answers() if each.question == "belongs"]
    assert stored.count(("ben", "5")) == 1 and ("ben", "1") not in stored and ("anna", "1") in stored


def test_the_sound_comes_first(page):
    tab = Tab(page).start("anna")
    tab.choose(tab.radios[0], "4")
    assert "Play the sound first" in tab.notice and tab.answers[0] is None and not page.trials.store.answers()
    tab.choose(tab.radios[0], "cannot say")
    assert tab.notice == "" and tab.answers[0] == "cannot say"
    assert tab.play().choose(tab.radios[0], "4").answers[0] == "4"


def test_next_waits_for_all_answers(page):
    tab = Tab(page).start("anna").click("next")
    assert f"{len(tab.radios)} questions are still open" in tab.notice and tab.visit.place == 0
    tab.play()
    for radio in tab.radios[1:]:
        tab.choose(radio, "cannot say")
    tab.state[tab.radios[0]]["value"] = tab.state[tab.radios[0]]["choices"][0][1]  # shown, but it was never stored
    assert "1 question is still open" in tab.click("next").notice and tab.visit.place == 0
    assert tab.answers == [None, *["cannot say"] * (len(tab.radios) - 1)]


def test_an_answer_that_cannot_be_stored_is_not_shown(page, monkeypatch):
    def fail(answer):
        raise OptionError("Cannot store answers in <study>: the disk is full.")

    tab = Tab(page).start("anna").play()
    monkeypatch.setattr(page.trials.store, "put", fail)
    tab.choose(tab.radios[0], "4")
    assert "in &lt;study&gt;: the disk is full." in tab.notice and tab.answers[0] is None


def test_wrong_answers_are_not_stored(page):
    tab = Tab(page).start("anna").play()
    radio = tab.radios[0]
    key = tab.state[radio]["choices"][0][1].partition(":")[0]
    for value in (f"{key}:6", f"{key}:maybe", f"{key}", "0123456789abcdef:3", ":", ""):
        assert tab.update(page.answer(tab.visit, value, radio)).notice.startswith("<p role="), value
    stranger = Tab(page)
    assert "earlier run" in stranger.update(page.answer(stranger.visit, f"{key}:cannot say", radio)).notice
    assert "earlier run" in stranger.click("next").notice
    assert page.trials.store.answers() == []


def test_a_late_answer_goes_where_it_was_given(page):
    tab = Tab(page).start("anna").answer_all()
    radio, earlier = tab.radios[0], page.trials.questions
    value = tab.state[radio]["choices"][4][1]
    tab.click("next").play()
    assert tab.update(page.answer(tab.visit, value, radio)).answers[0] is None  # the radio asks something else now
    clip, system, _ = earlier[value.partition(":")[0]]
    assert [(each.clip, each.system) for each in page.trials.store.answers() if each.answer == "5"] == [(clip, system)]


def test_a_name_is_needed(page):
    tab = Tab(page).start("  ")
    assert "1 to 40 letters" in tab.state[tab.screens.name_notice]["value"] and tab.visit.rater == ""


def test_nothing_shown_names_a_clip_or_a_system(page):
    tab = Tab(page).start("carl")
    for _ in CLIPS:
        tab.answer_all()
        shown = str([value for element, value in tab.state.items() if element is not page.visit])
        for each in OBJECTS["frog"]:
            shown = shown.replace(each, "")
        assert not [name for name in (*SYSTEMS, *CLIPS) if name in shown.replace(str(page.trials.folder), "")]
        tab.click("next")


# -- the server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("gradio", reason=GRADIO)
    connected, connect = [], socket.socket.connect

    def record(self, address):
        connected.append(address)
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", record)
        with served(tmp_path_factory.mktemp("rate")) as server:
            server.connected = connected
            yield server


def test_only_this_computer_is_asked_and_answered(server):
    assert server.url == f"http://{HOST}:{server.port}/"
    assert {address[0] for address in server.connected if isinstance(address, tuple)} <= {HOST, "::1", "localhost"}


def test_the_page_names_no_system_and_no_clip(server):
    for address in ("", "config", "gradio_api/info"):
        text = urlopen(server.url + address).read().decode()
        assert not re.findall("|".join((*CLIPS, SYSTEMS[0], str(server.store.path.parent))), text)
    assert "anna" in urlopen(server.url + "config").read().decode()  # --rater


def test_files_of_the_study_are_not_served(server):
    study = server.trials.study
    for path in (*study.pictures.values(), *study.clips.values(), server.store.path):
        with pytest.raises(HTTPError, match=r"40[34]"):
            urlopen(f"{server.url}gradio_api/file={path}")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", ""])
def test_requests_under_another_name_are_refused(server, host):
    """DNS rebinding: a page of evil.example whose name now leads to 127.0.0.1."""
    with socket.create_connection((HOST, server.port), timeout=10) as raw:
        raw.sendall(f"GET / HTTP/1.1\r\nHost: {host.format(port=server.port)}\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")
    assert urlopen(server.url.replace(HOST, "localhost")).status == 200


def test_a_browser_may_load_nothing_from_elsewhere(server):
    answer = urlopen(server.url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http" not in policy and b"fonts.googleapis" not in answer.read()


def test_a_taken_port_is_one_sentence(server):
    with pytest.raises(OptionError, match=rf"Cannot open port {server.port} of 127\.0\.0\.1: .*; choose another"):
        rating.app.serve(server.trials, port=server.port)


def test_without_gradio_one_sentence_says_how_to_install_it(tmp_path, monkeypatch):
    folder = rate_folder(tmp_path / "study")
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = CliRunner().invoke(app, ["rate", str(folder), "--no-open"])
    assert result.exit_code == 2 and result.stdout == "", result.output
    assert 'pip install "spatial-audiotoken[demo]"' in result.stderr and result.stderr.count("\n") == 1
    assert not (folder / FILE).exists()
