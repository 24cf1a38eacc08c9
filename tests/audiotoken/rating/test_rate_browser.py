"""The rating page in a real browser; skipped where Gradio, playwright or a Chromium is not installed."""

import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from rate_folder import CLIPS, OBJECTS, QUESTIONS, SYSTEMS, served

from audiotoken.rating.store import FILE, Store

pytestmark = pytest.mark.slow
pytest.importorskip("gradio", reason="no Gradio here: pip install 'spatial-audiotoken[demo]'")
WAIT = 90_000  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("rate")) as server:
        yield server


@pytest.fixture
def open_tab(chromium):
    tabs = []

    def open_tab():
        tab = chromium.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        tab.set_default_timeout(WAIT)
        tabs.append(tab)
        return tab

    yield open_tab
    for tab in tabs:
        tab.close()


def start(tab, url, rater):
    for patience in (WAIT // 6, WAIT // 6, WAIT):  # Gradio's client may miss an answer: a person loads the page anew
        tab.goto(url)
        tab.wait_for_selector("#start")
        tab.locator("#name").locator("input, textarea").fill(rater)
        tab.keyboard.press("Enter")
        with suppress(Exception):  # playwright's own type is not imported: it may be missing
            tab.wait_for_selector(".question input:focus", timeout=patience)  # the first open question has it
            return
    pytest.fail("no question is shown")


def wait_for(tab, condition):
    for _ in range(WAIT // 25):
        if condition():
            return
        tab.wait_for_timeout(25)
    pytest.fail("waited in vain")


def wait_for_answers(tab, count):
    tab.get_by_text(f"{count} of {QUESTIONS} answers stored").wait_for()


def questions(tab):
    return tab.locator("#pictures .question:visible")


def test_a_whole_study_by_keyboard(server, open_tab):
    tab, messages, addresses = open_tab(), [], []
    tab.on("console", lambda message: messages.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("request", lambda request: addresses.append(request.url))
    tab.goto(server.url)
    tab.wait_for_selector("#start")
    assert tab.locator("#name").locator("input, textarea").input_value() == '<"anna">'
    start(tab, server.url, "Anna")
    shown, total = "", 0
    for place in range(1, len(CLIPS) + 1):
        tab.get_by_text(f"Sound {place} of {len(CLIPS)}").wait_for()
        tab.wait_for_selector(".question input:focus")
        wait_for(tab, lambda place=place: ("anna", place - 1) in server.heard)
        labels = questions(tab).all_inner_texts()
        shown += tab.content()
        for label in labels:
            tab.keyboard.press("4" if "belong to the sound" in label else "n")  # as fast as it goes
        total += len(labels)
        # stored, if not shown yet: Gradio's page may miss what comes while it closes its stream of answers
        wait_for(tab, lambda total=total: len(server.store.answers("anna")) == total)
        tab.keyboard.press("Enter")
    tab.get_by_text("You have rated 6 pictures of 3 sounds").wait_for()
    answers = server.store.answers("anna")
    assert len(answers) == QUESTIONS
    assert all(each.answer == ("4" if each.question == "belongs" else "no") for each in answers)
    assert messages == [] and all(url.startswith((server.url, "data:", "blob:")) for url in addresses)
    for text in OBJECTS["frog"]:
        shown = shown.replace(text, "")
    # the system `mono` is a font's name, too
    names = "|".join((*CLIPS, SYSTEMS[0], rf"{SYSTEMS[1]}\W?(png|/)"))
    assert not re.search(names, shown.replace(str(server.trials.folder), "")) and not re.search(names, str(addresses))


def test_reload_change_and_two_raters_at_once(server, open_tab):
    ben, cleo = open_tab(), open_tab()
    start(ben, server.url, "Ben")
    start(cleo, server.url, "Cleo")
    wait_for(ben, lambda: {("ben", 0), ("cleo", 0)} <= set(server.heard))
    ben.keyboard.press("2")
    cleo.keyboard.press("5")
    wait_for_answers(ben, 1)
    wait_for_answers(cleo, 1)
    assert [each.answer for each in server.store.answers("ben")] == ["2"]
    assert [each.answer for each in server.store.answers("cleo")] == ["5"]
    server.heard.clear()
    start(ben, server.url, "BEN")  # loads the page anew
    wait_for(ben, lambda: ("ben", 0) in server.heard)
    wait_for_answers(ben, 1)
    first = questions(ben).first
    assert first.locator("label.selected").inner_text() == "2"
    assert not ben.evaluate("document.querySelector('.question').contains(document.activeElement)")
    first.locator("label", has_text="3").click()
    first.locator("label.selected", has_text="3").wait_for()
    wait_for(ben, lambda: [each.answer for each in server.store.answers("ben")] == ["3"])
    ben.click("#next")
    ben.get_by_text("still open").wait_for()


def test_nothing_is_rated_unheard(server, open_tab):
    tab = open_tab()
    tab.route("**/*.wav", lambda route: route.abort())
    start(tab, server.url, "dan")
    tab.keyboard.press("4")
    tab.get_by_text("Play the sound first").wait_for()
    assert tab.locator("label.selected").count() == 0 and server.store.answers("dan") == []
    tab.locator(".question input").first.focus()
    tab.keyboard.press("c")
    wait_for_answers(tab, 1)
    assert [each.answer for each in server.store.answers("dan")] == ["cannot say"]


@pytest.fixture
def run():
    """Starts the command in a process of its own: (the process, its address)."""
    processes = []

    def run(folder, *options):
        command = [sys.executable, "-m", "audiotoken", "rate", str(folder), "--no-open", *options]
        processes.append(process := subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        url = process.stdout.readline().split()[-1]
        process.stdout.readline()
        return process, url

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_files_of_a_kill_hold_every_answer_and_ctrl_c_ends_well(server, tmp_path, open_tab, run):
    tab = open_tab()
    start(tab, server.url, "eve")
    tab.keyboard.press("c")  # needs no sound
    wait_for_answers(tab, 1)
    folder = shutil.copytree(server.store.path.parent, tmp_path / "study")  # the files as a kill would leave them now
    process, url = run(folder, "--seed", "5")
    start(tab, url, "eve")
    assert questions(tab).first.locator("label.selected").inner_text() == "I cannot say"
    tab.keyboard.press("c")
    wait_for_answers(tab, 2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and re.search(rf"stored \d+ answers in {re.escape(str(folder / FILE))}", output)
    store = Store(folder / FILE)
    assert [each.answer for each in store.answers("eve")] == ["cannot say"] * 2
    store.close()
