"""The page in a real browser; skipped where Gradio, playwright or a Chromium is not installed."""

import io
import time

import numpy as np
import pytest
import soundfile
from page_server import served
from PIL import Image

from audiotoken.page.examples import RATE, load_example
from audiotoken.page.uploads import MAX_MEGABYTES

pytestmark = pytest.mark.slow
pytest.importorskip("gradio", reason="no Gradio here: pip install 'spatial-audiotoken[demo]'")
WAIT = 90_000  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def server(folder):
    with served(folder) as page:
        yield page


@pytest.fixture(scope="module")
def profile(chromium):
    """One for all tests: Gradio's scripts are fetched and compiled once."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture
def page(profile, server):
    page = profile.new_page()
    page.set_default_timeout(WAIT)
    page.errors, page.requests = [], []
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(server.local_url)
    page.wait_for_selector("#generate")
    yield page
    page.close()  # an open page goes on computing
    assert page.errors == []
    assert all(url.startswith((server.local_url, "data:", "blob:")) for url in page.requests)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "street.wav"
    soundfile.write(path, load_example("Frog and bell").T[: 2 * RATE], RATE)
    return path


def capture(page, selector):
    """A screenshot of the element, (height, width, 3); once more if the page replaces the element meanwhile."""
    for attempt in range(100):
        try:
            shot = page.locator(selector).screenshot()
            return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), float)
        except Exception as error:  # playwright's own type is not imported: it may be missing
            if "not attached" not in str(error) or attempt == 99:
                raise
            page.wait_for_timeout(50)


def test_upload_correct_and_generate(page, clip, folder):
    page.set_input_files("#clip input[type=file]", clip)
    page.wait_for_selector("#places .card")
    assert page.locator("#places .card").count() == 2 and page.locator("#wave path").count() == 2
    sketched = capture(page, "#canvas .frame")

    outputs = page.locator("#places output")
    before = outputs.first.inner_text()
    handle = page.locator("#places .handle").first
    for _ in range(40):
        handle.press("ArrowRight" if "left" in before else "ArrowLeft")
    after = outputs.first.inner_text()
    assert ("left" in before) != ("left" in after)
    for _ in range(200):
        page.wait_for_timeout(250)
        if np.abs(capture(page, "#canvas .frame") - sketched).max() > 30:
            break
    else:
        pytest.fail("the box did not go along")

    page.click("#generate")
    page.wait_for_selector("#canvas .frame.running")
    page.wait_for_selector("#canvas .frame.done img")
    picture = capture(page, "#canvas .frame")
    assert picture.std(axis=(0, 1)).max() > 5  # not an empty frame
    for name, start in (("picture", b"\x89PNG"), ("report", b"<!DOCTYPE html>"), ("steps", b"GIF89a")):
        with page.expect_download() as download:
            page.click(f"#download-{name}")
        assert download.value.path().read_bytes().startswith(start)

    page.click("#compare")
    page.wait_for_selector("#canvas .compare")
    assert page.locator("#canvas .frame img").count() == 2
    assert list(folder.rglob("street.wav"))
    page.close()
    for _ in range(1200):
        if not list(folder.rglob("street.wav")):
            break
        time.sleep(0.05)
    assert not list(folder.rglob("street.wav"))  # what was uploaded went with the page


def test_a_sound_is_renamed_and_drawn_by_its_name(page, clip):
    page.set_input_files("#clip input[type=file]", clip)
    page.wait_for_selector("#places .card")
    name = page.locator("#places .name").first
    heard = name.input_value()
    name.fill("xylophone")
    name.press("Enter")
    page.locator("#canvas .box span", has_text="xylophone").wait_for()
    assert "“xylophone”" in page.locator("#places .strange").first.inner_text()  # the tiny model has read no words
    page.get_by_text("Options").click()
    page.get_by_label("Steps").fill("1")
    page.click("#generate")
    page.wait_for_selector("#canvas .frame.done img")
    assert "xylophone" in page.locator("#canvas").inner_text()
    name.fill("")
    name.press("Enter")
    page.wait_for_function("name => document.querySelector('#places .name').value === name", arg=heard)
    page.locator("#canvas .box span", has_text="xylophone").first.wait_for(state="detached")


def test_a_phone_shows_the_whole_width_in_light_and_dark(page, clip):
    page.set_viewport_size({"width": 390, "height": 844})
    page.set_input_files("#clip input[type=file]", clip)
    page.wait_for_selector("#places .card")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        for selector in ("#places .card", "#canvas .frame", "#prompt", "#generate"):
            box = page.locator(selector).first.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390, selector
        page.wait_for_function(f"() => ({CONTRAST})().every(([text, ground]) => Math.abs(text - ground) > 0.35)")


CONTRAST = """() => [".card .number", ".card .name", ".modes button[aria-pressed=true]"].map((selector) => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number);
    return (0.3 * r + 0.59 * g + 0.11 * b) / 255;
  };
  let node = document.querySelector("#places " + selector);
  const text = light(getComputedStyle(node).color);
  while (getComputedStyle(node).backgroundColor === "rgba(0, 0, 0, 0)" && node.parentElement) node = node.parentElement;
  return [text, light(getComputedStyle(node).backgroundColor)];
})"""


def test_broken_file_shows_an_error(page, tmp_path):
    path = tmp_path / "broken.wav"
    path.write_bytes(b"RIFF nothing of the kind" * 50)
    page.set_input_files("#clip input[type=file]", path)
    page.wait_for_selector(".page-status p.error")
    assert page.locator(".page-status p.error").inner_text().startswith("Cannot read broken.wav: ")
    assert page.locator("#generate").is_disabled()
    page.errors = [
        error for error in page.errors if not error.startswith("Waveform load error")
    ]  # Gradio's player says so too


def test_large_file_shows_an_error_and_is_not_uploaded(page, tmp_path):
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate((MAX_MEGABYTES + 1) * 2**20)
    page.set_input_files("#clip input[type=file]", large)
    page.wait_for_selector("#guard p.error")
    message = page.locator("#guard p.error").inner_text()
    limits = f"it has {MAX_MEGABYTES + 1} MB, and the maximum is {MAX_MEGABYTES} MB"
    assert message.startswith(f"Cannot read large.wav: {limits}; cut")
    assert not [url for url in page.requests if "/upload" in url]


def test_cancel_stops_generation(page, clip):
    page.set_input_files("#clip input[type=file]", clip)
    page.wait_for_selector("#places .card")
    page.get_by_text("Options").click()
    page.get_by_label("Steps").fill("900")
    page.click("#generate")
    page.wait_for_selector("#canvas .job-progress .bar:not(.unknown)")
    page.click("#cancel")
    page.wait_for_selector("#canvas .frame.sketch")
    page.get_by_text("Cancelled.").wait_for()
    assert page.locator("#generate").is_enabled()


@pytest.mark.parametrize(
    "moment", ["#cancel-listening", "#canvas .job-progress .bar:not(.unknown)", "#download-picture"]
)
def test_closing_the_tab_leaves_no_traceback(page, clip, moment, server, capfd):
    """While it listens, while it draws, and just after a picture, when report and GIF are being written."""
    others = list(server.sessions)
    page.set_input_files("#clip input[type=file]", clip)
    if moment != "#cancel-listening":
        page.wait_for_selector("#places .card")
        page.get_by_text("Options").click()
        page.get_by_label("Steps").fill("2" if moment == "#download-picture" else "900")
        page.click("#generate")
    page.wait_for_selector(moment)
    page.close()
    until = time.monotonic() + 60
    while set(server.sessions) - set(others) and time.monotonic() < until:
        time.sleep(0.05)
    assert not set(server.sessions) - set(others)
    time.sleep(1)  # what is being written meets a folder that is gone
    assert "Traceback" not in "".join(capfd.readouterr())


def test_panner(page):
    page.get_by_role("tab", name="Panner").click()
    page.wait_for_selector("#mix audio, #mix .waveform-container", state="attached")
    page.click("#generate-mix")
    page.wait_for_selector("#mix-canvas .frame.done img")
    rows = page.locator(".comparison tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == ["frog", "bell"] and "28° left" in rows[0]
    page.click("#open")
    page.wait_for_selector("#places .card")
