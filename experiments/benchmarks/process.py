"""Run a benchmark row in its own process, and choose the device to measure on."""

from collections.abc import Callable
from typing import Any

from audiotoken.model import find_device

PRELOADED = ["audiotoken.data.prepared", "audiotoken.debug", "experiments.benchmarks.published"]


def in_process(target: Callable[..., None], args: tuple, limit: float, failed: Callable[[str], Any]) -> Any:
    """Return what `target` sends from a fresh process, or `failed(why)` if it ends without sending or takes too long.

    Processes are forked from one that has imported their modules and done nothing else.
    """
    import multiprocessing

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(*args, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(limit) else failed(f"not finished after {limit:g} s")
    except EOFError:
        process.join()
        code = process.exitcode or 0
        return failed("killed, most likely out of memory" if code == -9 else f"exited with code {code}")
    finally:
        process.join(1)  # a process that has sent is about to end; the others are too late
        process.kill()
        process.join()


def place(device: str | None, geometry: str | None) -> tuple[str, str]:
    """The given device and geometry, by default the best device and its geometry; OptionError for a missing device."""
    name = str(find_device(device))
    return name, geometry or ("sd1" if name.startswith("cuda") else "mini")
