"""Ctrl-C ends the page, with its exit code and without its files, whatever else still runs."""

import os
import signal
import subprocess
import sys

import pytest

SERVER = """
import sys
from threading import Event, Thread
from types import SimpleNamespace
from audiotoken import serving
from audiotoken.page import launch

session = SimpleNamespace(cancel_jobs=lambda: print("session ended", flush=True))
page = SimpleNamespace(local_url="ready", sessions=[session], server=SimpleNamespace(should_exit=False))
serving.mkdtemp = lambda prefix: sys.argv[1]
serving.prepare_gradio = launch.load_pipeline = lambda *pipe: None
launch.serve = lambda *pipe, **options: page
Thread(target=Event().wait).start()  # never ends, and Python waits for such threads
try:
    launch.open_page(on_ready=lambda url: print(url, flush=True))
except KeyboardInterrupt:
    raise SystemExit(130)
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_a_signal_ends_it_though_a_thread_goes_on(tmp_path, number, code):
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "clip.wav").write_bytes(b"mine")
    ignored = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731  # as a script's `&` does
    command = [sys.executable, "-c", SERVER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=ignored) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            assert process.wait(60) == code  # a second; without `_exit_later` never
        finally:
            process.kill()
        assert process.stdout.read() == "session ended\n"
    assert not folder.exists()
