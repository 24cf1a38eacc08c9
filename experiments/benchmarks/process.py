"""A row of a benchmark in a process of its own, and the device that it is measured on."""

from collections.abc import Callable
from typing import Any

from audiotoken.model import find_device

PRELOADED = ["audiotoken.data.prepared", "audiotoken.debug", "experiments.benchmarks.published"]


def in_process(target: Callable[..., None], args: tuple, limit: float, failed: Callable[[str], Any]) -> Any:
    """What `target` sends from a fresh process, or `failed(why)` when that ends without a word or takes too long.

    Processes are forked from one that has imported what they need and done nothing else.
    """
    import multiprocessing

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(*args, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(limit) else failed(f"not done after {limit:g} s")
    except EOFError:
        process.join()
        code = process.exitcode or 0
        return failed("killed, most likely out of memory" if code == -9 else f"ended by itself with code {code}")
    finally:
        process.join(1)  # what has sent is as good as done; what has not is too late
        process.kill()
        process.join()


def place(device: str | None, geometry: str | None) -> tuple[str, str]:
    """Those asked for, or the best device there is and what it can bear; OptionError for a device that is not there."""
    name = str(find_device(device))
    return name, geometry or ("sd1" if name.startswith("cuda") else "mini")
