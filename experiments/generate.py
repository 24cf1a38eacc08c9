"""A clip -> pictures on the disk.

    python -m experiments.generate clip=dog.wav output=dog.png seed=3

`audiotoken generate` is the same without Hydra; both call `generate` below.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken.start import STOPPED

if TYPE_CHECKING:  # what takes seconds to import is imported when it is needed
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

    from audiotoken.pipeline import AudioTokenPipeline
    from experiments.pipeline import Result

LOWER = "lower --count or --batch, draw with --dtype float16, with a smaller model or on --device cpu"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
DTYPES = ("float32", "bfloat16", "float16")
TOKENS = (None, "learned", "label")  # None: learned where the model has an embedder
LONGEST = 600.0  # seconds of a file that are heard
RANGES = {"seed": (0, 2**32), "count": (1, 64), "steps": (1, 1000), "guidance": (0, 100), "batch": (1, 1024)}


class OptionError(ValueError):
    """An option that cannot be followed; the message is one sentence: what came, what is wanted, what to do."""


def generate(
    clip: str | os.PathLike,
    output: str | os.PathLike = "out.png",
    *,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    seed: int = 0,
    count: int = 1,
    steps: int | None = None,
    guidance: float | None = None,
    model: str = "mini",
    token: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    report: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> "Result":
    """Hear `clip`, draw it `count` times, write the pictures (see `files_of`).

    The sound's word is the embedder's (`token="learned"`) or the name of what was heard (`token="label"`); by default
    the embedder's, if the model has one. Steps and guidance are the model's own, the device is the best there is;
    `on_step(done, steps)` is called after each step. Of a file longer than `LONGEST` the beginning is heard, and the
    notes say so. Raises AudioError, CheckpointError, PromptError or OptionError.
    """
    check_options(seed=seed, count=count, steps=steps, guidance=guidance, dtype=dtype, token=token)
    recording, rate, cut = load_beginning(clip, LONGEST)
    check_output(output)  # before the long work

    from experiments.pipeline import sound_to_image  # takes seconds; the lines above answer at once

    parts = load_parts(model, device, dtype)
    result = sound_to_image(
        recording,
        rate,
        parts,
        prompt=prompt,
        negative_prompt=negative_prompt,
        seed=seed,
        count=count,
        steps=steps,
        guidance_scale=guidance,
        on_step=on_step,
        token=token,
        setup="mono",
    )
    result.notes.extend(cut)
    write(result, output, report)
    return result


def load_beginning(clip: str | os.PathLike, seconds: float) -> tuple["NDArray[np.float32]", int, list[str]]:
    """(recording, rate, notes) of at most so many seconds of a file of any length; a note says where it was cut."""
    from audiotoken.audio import load_audio

    recording, rate = load_audio(clip, first=seconds + 1)
    frames = round(seconds * rate)
    cut = [f"The first {seconds:g} seconds were listened to; cut the file to hear others."]
    return recording[:, :frames], rate, cut if recording.shape[1] > frames else []


def load_parts(model: str, device: str | None = None, dtype: str = "float32") -> "AudioTokenPipeline":
    """The pipeline on its device, quiet: no progress bars of its own, no advice to developers."""
    import torch

    from audiotoken.pipeline import AudioTokenPipeline

    place = _device(device)
    hush()
    pipe = AudioTokenPipeline.from_pretrained(model, dtype=getattr(torch, dtype))
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(place)


def hush() -> None:
    """No progress bars and no advice to developers from the libraries below."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.set_verbosity_error()


def say_written(result: "Result", output: str | os.PathLike, report: bool) -> str:
    """What a command says when it is done: what was heard, and where the files are."""
    from audiotoken.ears import say_heard
    from audiotoken.prompt import PLACEHOLDER

    files = files_of(output, len(result.images), report)
    lines = [f"heard  {say_heard(result.heard[0])}"]
    lines += [] if PLACEHOLDER in result.prompt.text else [f"as     {result.prompt.text}"]  # a label token
    lines += [f"note   {note}" for note in result.notes]
    lines += [f"drew   {path}" for path in files["sheet"] or files["pictures"]]
    lines += [f"report {path}" for path in files["report"]]
    return "\n".join(map(printable, lines))


def files_of(output: str | os.PathLike, count: int, report: bool) -> dict[str, list[Path]]:
    """Names of what is written: `dog.png`; or with count=2 `dog-1.png`, `dog-2.png` and both side by side in `dog.png`.

    The report is `dog-report.png`.
    """
    output = Path(output)
    single = [output] if count == 1 else [output.with_stem(f"{output.stem}-{i + 1}") for i in range(count)]
    return {
        "pictures": single,
        "sheet": [output] if count > 1 else [],
        "report": [output.with_name(f"{output.stem}-report.png")] if report else [],
    }


def write(result: "Result", output: str | os.PathLike, report: bool = False) -> dict[str, list[Path]]:
    """Each file appears whole or not at all."""
    from experiments.report import contact_sheet, draw_report

    files = files_of(output, len(result.images), report)
    for image, path in zip(result.images, files["pictures"], strict=True):
        write_image(image, path)
    for path in files["sheet"]:
        write_image(contact_sheet(result.images), path)
    for path in files["report"]:
        write_image(draw_report(result), path)
    return files


def write_image(image: "Image", path: Path) -> None:
    """Save it, whole or not at all."""
    with _whole(path) as temporary:
        image.save(temporary, quality=95)  # of JPEG and WebP


def write_bytes(content: bytes, path: Path) -> None:
    with _whole(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary neighbour, renamed in the end: Ctrl-C or a full disk leaves the old file or none."""
    temporary = _temporary(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise no_place(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def check_options(*, dtype: str, token: str | None = None, **numbers: float | None) -> None:
    """OptionError for what is out of range; None stands for the model's own."""
    for name, value in numbers.items():
        low, high = RANGES[name]
        kinds = int | float if name == "guidance" else int
        if value is not None and not (isinstance(value, kinds) and low <= value <= high):
            whole = "a number" if name == "guidance" else "a whole number"
            raise OptionError(f"Got {name}={value}, want {whole} from {low} to {high}; change it.")
    for name, word, choices in (("dtype", dtype, DTYPES), ("token", token, TOKENS)):
        if word not in choices:
            raise OptionError(f"Got {name}={word}, want one of {', '.join(filter(None, choices))}; change it.")


def check_output(output: str | os.PathLike, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Make the folder and see that a file can be made in it; OptionError otherwise."""
    path = Path(output)
    if path.suffix.lower() not in suffixes:
        kinds = ", ".join(suffixes)
        raise OptionError(f"Cannot write {path}: got the suffix {path.suffix!r}, want one of {kinds}; rename it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise OptionError(f"Cannot write {path}: it is a folder; give a file name such as {path / 'out.png'}.")
        trial = _temporary(path.with_stem(f"{path.stem}-report"))  # the longest name there will be
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise no_place(path, error) from None


def _temporary(path: Path) -> Path:
    """A neighbour that nobody else uses."""
    return path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")


def no_place(path: Path, error: OSError) -> OptionError:
    """The sentence for a file that cannot be made."""
    return OptionError(f"Cannot write {path}: {error.strerror or error}; choose a folder where files can be made.")


def _device(name: str | None) -> "torch.device":
    """The one asked for, if it is there, or the best there is."""
    import torch

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise OptionError(f"There is no device {name} that torch {torch.__version__} can use here; try cpu.") from None
    return device


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """What a user can mend is one line on stderr and exit code 2; anything else is a bug and keeps its traceback.

    So is a lack of memory; Ctrl-C is one line and exit code 130.
    """
    try:
        yield
    except ValueError as error:
        if not _mendable(error):
            raise
        print(printable(error), file=sys.stderr)
        raise SystemExit(2) from None
    except (MemoryError, RuntimeError) as error:
        from audiotoken.checkpoint import out_of_memory

        if not out_of_memory(error):
            raise
        print(f"Out of memory ({printable(error) or 'no more is there'}): {LOWER}.", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise SystemExit(130) from None


def printable(text: object) -> str:
    """One line: a file's name may hold line ends, or what a terminal would obey."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(text))


def _mendable(error: ValueError) -> bool:
    from audiotoken.audio import AudioError
    from audiotoken.data import DataError
    from spatial.scene import SpatialError

    if isinstance(error, AudioError | DataError | OptionError | SpatialError):
        return True

    from audiotoken.checkpoint import CheckpointError  # these wait for torch
    from audiotoken.prompt import PromptError
    from guidance import GuidanceError, RegionError

    return isinstance(error, CheckpointError | PromptError | GuidanceError | RegionError)


def hydra_entry(config_name: str, run: Callable[..., Any]) -> None:
    """The command line of `run`, whose parameters are the keys of configs/`config_name`.yaml."""
    import hydra
    from omegaconf import OmegaConf

    @hydra.main(version_base=None, config_path="pkg://configs", config_name=config_name)
    def entry(config: Any) -> None:
        with errors_as_sentences():
            if missing := sorted(OmegaConf.missing_keys(config)):
                raise OptionError(f"Got no {missing[0]}, want one; say {missing[0]}=....")
            print(run(**config))

    run_hydra(entry)


def run_hydra(entry: Callable[[], Any]) -> None:
    """What Hydra cannot read is one sentence and exit code 2, as all else that a user can mend."""
    from hydra.errors import HydraException

    os.environ["HYDRA_FULL_ERROR"] = "1"  # it raises what it would print in several lines
    try:
        entry()
    except HydraException as error:
        with errors_as_sentences():
            raise OptionError(_unread(str(error))) from None


def _unread(said: str) -> str:
    first, quoted = said.split("\n")[0].rstrip("."), said.split("'")
    if first.startswith("Could not override") and len(quoted) > 2:
        return f"Got {quoted[1]}=..., which is no key of this command; --help lists them."
    if "ViableAlt" in first or "mismatched" in said or "extraneous" in said or "token recognition" in said:
        what = first.split(": ", 1)[-1]
        return f"""Cannot read {what}; put a value with spaces or signs in two kinds of quotes: 'key="a value"'."""
    return f"Cannot read the command line: {first}; --help lists the keys."


def main() -> None:
    hydra_entry("generate", lambda **config: say_written(generate(**config), config["output"], config["report"]))


if __name__ == "__main__":
    main()
