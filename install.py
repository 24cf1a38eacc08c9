"""Set up everything in a virtual environment: what `make demo` and `make test` do first. Needs nothing but Python.

    python3 install.py                 # into .venv, from constraints.txt
    python3 install.py --torch cpu     # or default; auto chooses by whether there is an NVIDIA driver

On Linux the package index's own torch carries CUDA: some 5 GB, of no use without an NVIDIA GPU. So without a driver the
CPU build is taken: from the index in use if it has one, otherwise from PyTorch's own index by way of uv, which knows
it. Where neither has one, the index's default build serves as well. Run it again after a stop or an update: what is
there already is kept.
"""

from __future__ import annotations  # so that an older Python comes as far as the sentence that it is too old

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "constraints.txt"
PYTHONS = ((3, 11), (3, 13))  # the oldest and the newest that were tried
DRIVERS = ("/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1")
CUDA_PARTS = ("torch", "triton", "nvidia-", "cuda-")  # pins of the default build, which the CPU build goes without
PROGRESS = re.compile(r"^\s*(?:Downloading (\S+).*\((\d{2,}\.\d MB|[\d.]+ GB)\)|(Installing collected packages))")
INTERVAL = 20  # seconds between lines where there is no terminal


class InstallError(RuntimeError):
    """One sentence: what is the matter and what to do."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="the virtual environment [default: .venv]")
    parser.add_argument("--torch", choices=("auto", "cpu", "default"), default="auto", help="which build of torch")
    parser.add_argument("--extras", default="dev", help="extras of pyproject.toml, comma-separated [default: dev]")
    parser.add_argument("--newest", action="store_true", help="ignore constraints.txt: the newest that may be used")
    options = parser.parse_args(arguments)
    try:
        install(options.venv, options.torch, options.extras, newest=options.newest)
    except InstallError as error:
        print(f"install.py: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Stopped; run the same command to go on.", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        print(f"install.py: cannot write: {error}", file=sys.stderr)
        sys.exit(2)


def install(venv: Path, build: str = "auto", extras: str = "dev", *, newest: bool = False) -> None:
    """The virtual environment with the checkout in it, as an editable install."""
    check_python()
    start = time.monotonic()
    python = make_environment(venv)
    constraints = [] if newest else read_pins()
    if build == "cpu" or (build == "auto" and not has_nvidia_driver()):
        constraints = install_cpu_torch(python, constraints, required=build == "cpu")
    elif "+cpu" in find_torch_version(python):
        pip(python, "uninstall", "--yes", "torch", doing="removing the CPU build of torch")
    upgrade = ("--upgrade", "--upgrade-strategy", "eager") if newest else ()
    file = venv / "constraints.txt"
    file.write_text("\n".join([*constraints, ""]), encoding="utf-8")
    options = ("--no-compile", *upgrade, "--constraint", str(file))
    pip(python, "install", *options, "--editable", f"{ROOT}[{extras}]", doing="installing")
    torch, minutes = find_torch_version(python), (time.monotonic() - start) / 60
    print(f"installed into {venv}: torch {torch}, {measure_size(venv) / 1e9:.1f} GB, {minutes:.1f} minutes", flush=True)


def check_python() -> None:
    (low, high), here = PYTHONS, sys.version_info[:2]
    if not low <= here <= high:
        wanted = f"{low[0]}.{low[1]} to {high[0]}.{high[1]}"
        raise InstallError(f"this is Python {here[0]}.{here[1]}, expected {wanted}; try: make demo PYTHON=python3.12")


def make_environment(venv: Path) -> Path:
    """The interpreter of `venv`, which is made where there is none that runs this Python."""
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (venv / "pyvenv.cfg").is_file():
        check_environment(venv, python)
        return python
    if venv.exists() and (not venv.is_dir() or any(venv.iterdir())):
        raise InstallError(f"{venv} exists but is not a virtual environment; name another: --venv (for make VENV=...).")
    try:
        done = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True)
    except BaseException:  # Ctrl-C: half an environment would stand in the way of the next run
        shutil.rmtree(venv, ignore_errors=True)
        raise
    if done.returncode:
        shutil.rmtree(venv, ignore_errors=True)  # the folder was empty or not there
        said = " ".join((done.stdout + done.stderr).split())
        hint = "; on Debian and Ubuntu, first: apt install python3-venv" if "ensurepip" in said else ""
        raise InstallError(f"cannot make a virtual environment in {venv} ({said}){hint}.")
    return python


def check_environment(venv: Path, python: Path) -> None:
    """InstallError unless it runs, and runs this Python; pip is put back where it is missing."""
    found = read_output(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    if found != f"{sys.version_info[0]}.{sys.version_info[1]}":
        raise InstallError(f"{venv} is damaged or belongs to another Python; remove that folder and run this again.")
    if not read_output(python, "-m", "pip", "--version"):
        read_output(python, "-m", "ensurepip")


def read_output(python: Path, *arguments: str) -> str:
    """What Python prints, without the newline; "" where it cannot be run or fails."""
    try:
        return subprocess.run([str(python), *arguments], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def read_pins() -> list[str]:
    """The pins of constraints.txt."""
    return [line for line in LOCK.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def has_nvidia_driver() -> bool:
    if os.name == "nt":
        return Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvcuda.dll").exists()
    return shutil.which("nvidia-smi") is not None or any(Path(each).exists() for each in DRIVERS)


def install_cpu_torch(python: Path, constraints: list[str], *, required: bool) -> list[str]:
    """torch without CUDA, where it can be had; the constraints for everything else.

    Only on Linux: elsewhere the default build is the CPU build, or Apple's GPUs come with it.
    """
    if platform.system() != "Linux":
        return constraints
    others = [line for line in constraints if not line.startswith(CUDA_PARTS)]
    pinned = next((line.split("==")[1].split(" ")[0] for line in constraints if line.startswith("torch==")), None)
    if "+cpu" in find_torch_version(python):
        return others
    versions = list_index_versions(python)
    if not versions:
        raise InstallError("the package index cannot be reached; check the network, the proxy and pip's configuration.")
    found = choose_cpu_build(versions, pinned)
    if found:
        if pinned and found != f"{pinned}+cpu":
            print(f"the lock has torch {pinned}; the nearest CPU build in the index in use is {found}", flush=True)
        pip(python, "install", "--no-compile", "--no-deps", f"torch=={found}", doing=f"torch {found}, the CPU build")
        return others
    if install_cpu_torch_with_uv(python, pinned):
        return others
    if required:
        raise InstallError("found no CPU build of torch; use --torch default (for make TORCH=default).")
    print("no CPU build of torch can be had here: taking the default build, which brings CUDA (5 GB more)", flush=True)
    return constraints


def list_index_versions(python: Path) -> list[str]:
    """Every version of torch that pip, as it is set up here, would find for this Python; newest first."""
    said = read_output(python, "-m", "pip", "--disable-pip-version-check", "index", "versions", "torch")
    listed = re.search(r"^Available versions: (.*)$", said, re.MULTILINE)
    return listed[1].split(", ") if listed else []


def choose_cpu_build(versions: Sequence[str], pinned: str | None) -> str | None:
    """The CPU build of the pinned version, or else the newest before it that pyproject.toml allows.

    Without a pin, as for `--newest`: that of the newest version of all, or none.
    """
    usable = sorted((each for each in versions if is_in_range(each)), key=parse_version)
    builds = [each for each in usable if each.endswith("+cpu")]
    if pinned:
        return next((each for each in reversed(builds) if parse_version(each) <= parse_version(pinned)), None)
    return next((each for each in builds if parse_version(each) == parse_version(usable[-1])), None)


def is_in_range(version: str) -> bool:
    """Whether pyproject.toml's range of torch, at least one and below another, holds it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    low, high = re.search(r'^ *"torch>=([\d.]+),<([\d.]+)"', text, re.MULTILINE).groups()  # type: ignore[union-attr]
    return parse_version(low) <= parse_version(version) < parse_version(high)


def parse_version(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.partition("+")[0].split(".") if each.isdigit())


def install_cpu_torch_with_uv(python: Path, pinned: str | None) -> bool:
    """Whether PyTorch's own index had it. uv, which knows that index, is installed into the environment for this."""
    print("the index in use has no CPU build of torch: asking PyTorch's own", flush=True)
    wanted = f"torch=={pinned}" if pinned else "torch"
    uv = (str(python), "-m", "uv", "pip", "install", "--python", str(python), "--no-deps", "--torch-backend", "cpu")
    quick = {"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "60"}
    try:
        pip(python, "install", "uv", doing="uv")
        run((*uv, wanted), python, doing="torch, the CPU build", variables=quick)
    except InstallError:
        return False
    return True


def find_torch_version(python: Path) -> str:
    """Its version, or "" where there is none."""
    code = "from importlib.metadata import distributions as d; print(*[x.version for x in d(name='torch')])"
    return read_output(python, "-c", code)


def pip(python: Path, *arguments: str, doing: str) -> None:
    """Run pip in the environment; see `run`."""
    run((str(python), "-m", "pip", "--disable-pip-version-check", *arguments), python, doing=doing)


def run(command: Sequence[str], python: Path, *, doing: str, variables: Mapping[str, str] | None = None) -> None:
    """Report its large downloads while it runs; its full output is in the environment's install.log."""
    log, said = python.parent.parent / "install.log", []
    with log.open("a", encoding="utf-8") as file, report_progress(doing) as report:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **(variables or {})},
        )
        with process:
            for line in process.stdout or ():
                file.write(line)
                said.append(line)
                progress = find_progress(line)
                if progress:
                    report(progress)
    if process.returncode:
        causes = [line for line in said if re.search("error|could not|connection", line, re.IGNORECASE)]
        raise InstallError(
            f"stopped at {doing}; run this again to go on. From {log}:\n{''.join(causes[:6] or said[-6:])}"
        )


def find_progress(line: str) -> str | None:
    """What to report of a line of pip's output: a download of 10 MB or more, or the last stage."""
    match = PROGRESS.match(line)
    if not match:
        return None
    name, size, last = match.groups()
    return "putting the packages in place" if last else f"{'-'.join(name.rpartition('/')[2].split('-')[:2])}, {size}"


@contextmanager
def report_progress(doing: str):  # type: ignore[no-untyped-def]
    """Context manager: a function that prints a line; the last one is printed again and again, with the time passed."""
    start, last, over = time.monotonic(), [doing], threading.Event()
    live = sys.stdout.isatty()

    def print_last() -> None:
        line = f"  {time.monotonic() - start:4.0f} s  {last[0]}"
        print(f"\r{line}\033[K" if live else line, end="" if live else "\n", flush=True)

    def repeat() -> None:
        while not over.wait(1 if live else INTERVAL):
            print_last()

    def report(text: str) -> None:
        last[0] = text
        print_last()

    report(doing)
    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield report
    finally:
        over.set()
        thread.join()
        print("\r\033[K" if live else "", end="", flush=True)


def measure_size(folder: Path) -> int:
    """Bytes of the files in it; links are not followed."""
    return sum(os.lstat(Path(here, name)).st_size for here, _, names in os.walk(folder) for name in names)


if __name__ == "__main__":
    main()
