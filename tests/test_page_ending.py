"""Ctrl-C ends the page soon, with its exit code and without its files, whatever else still runs."""

import os
import signal
import subprocess
import sys
import time

import pytest

SERVER = """
import sys
from threading import Event, Thread
from types import SimpleNamespace
from experiments.page import launch

session = SimpleNamespace(end=lambda: print("session ended", flush=True))
page = SimpleNamespace(local_url="ready", sessions=[session], server=SimpleNamespace(should_exit=False))
launch.mkdtemp = lambda prefix: sys.argv[1]
launch.prepare = launch.load_parts = lambda *parts: None
launch.serve = lambda *parts, **options: page
Thread(target=Event().wait).start()  # never ends, and Python waits for such threads
try:
    launch.open_page(on_ready=lambda url: print(url, flush=True))
except KeyboardInterrupt:
    raise SystemExit(130)
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_a_signal_ends_it_within_two_seconds(tmp_path, number, code):
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "clip.wav").write_bytes(b"mine")
    ignored = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731  # as a script's `&` does
    command = [sys.executable, "-c", SERVER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=ignored) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            start = time.monotonic()
            process.send_signal(number)
            assert process.wait(20) == code
            spent = time.monotonic() - start
        finally:
            process.kill()
        assert process.stdout.read() == "session ended\n"
    assert not folder.exists() and spent < 5  # one second here; machines may be busy
