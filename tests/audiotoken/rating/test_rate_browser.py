"""The page in a real browser, by keyboard alone; skipped where playwright or a Chromium is not installed."""

from threading import Thread

import pytest
from rate_folder import QUESTIONS, rate_folder

from audiotoken.rating.server import RatingServer
from audiotoken.rating.store import FILE, Store
from audiotoken.rating.study import read_study
from audiotoken.rating.trials import Trials


@pytest.fixture
def page(chromium):
    return chromium.new_page()


@pytest.fixture
def server(tmp_path):
    folder = rate_folder(tmp_path / "study")
    store = Store(folder / FILE)
    with RatingServer(Trials(read_study(folder), store, seed=0)) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()
    store.close()


def until(page, expression):
    """Asked from outside again and again: within the page its policy forbids to evaluate a text."""
    for _ in range(2400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(25)
    pytest.fail(f"after a minute still not: {expression}")


def begin(page, server):
    page.goto(server.url)
    page.fill("#rater", "anna")
    page.keyboard.press("Enter")
    page.wait_for_selector(".question")
    until(page, "heard")


def test_all_of_it_by_keyboard(page, server):
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    begin(page, server)
    shown = page.evaluate("trials.map((trial) => trial.questions.map((question) => question.name))")
    for place, questions in enumerate(shown):
        until(page, f"at === {place} && heard")
        for _ in range(2):
            for name in questions:
                page.keyboard.press("4" if name == "belongs" else "n")  # as fast as it goes
        page.wait_for_selector("#next:not(:disabled)")
        page.keyboard.press("Enter")
    page.wait_for_selector("#end:not([hidden])")
    answers = server.trials.store.answers("anna")
    assert len(answers) == QUESTIONS
    assert all(each.answer == ("4" if each.question == "belongs" else "no") for each in answers)
    assert said == [] and all(url.startswith(server.url) for url in asked)


def test_nothing_is_rated_unheard_and_who_comes_back_goes_on(page, server):
    page.route(
        "**/media/*", lambda route: route.abort() if route.request.resource_type == "media" else route.continue_()
    )
    page.goto(server.url)
    page.fill("#rater", "anna")
    page.click("text=Start")
    page.wait_for_selector(".question")
    page.keyboard.press("4")
    until(page, "document.querySelector('#hint').textContent.includes('cannot')")
    assert server.trials.store.answers() == []
    page.keyboard.press("c")
    page.wait_for_selector("[aria-pressed=true]")
    assert [each.answer for each in server.trials.store.answers()] == ["cannot say"]
    page.unroute("**/media/*")
    begin(page, server)
    assert page.evaluate("[at, current]") == [0, 1]
