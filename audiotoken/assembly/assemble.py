"""Parts from here and there -> one folder that hears and draws, and needs nothing else.

    python -m experiments.assemble base=sd-folder encoder=beats:BEATs.pt embedder=embedder.bin output=model

`audiotoken assemble` is the same without Hydra. `AudioTokenPipeline.from_pretrained(folder)` reads what it writes.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from audiotoken.assembly.base import Base, load_base, look_at
from audiotoken.assembly.parts import load_embedder, lora_beside
from audiotoken.encoders import AudioEncoder
from audiotoken.encoders.load import ENCODERS, has_encoder, load_encoder
from audiotoken.errors import CheckpointError, OptionError, PromptError
from audiotoken.labels import choose_subject
from audiotoken.model import silence_library_logs
from audiotoken.tables import markdown_table
from audiotoken.writing import cannot_write

DTYPES = ("float32", "float16")
SPARE = 16 * 2**20  # bytes, for what is no weight


@dataclass(frozen=True)
class Assembled:
    """What was made."""

    folder: Path
    family: str
    parts: dict[str, tuple[str, int]]  # name -> (class, bytes on the disk)
    prediction: str  # epsilon, v_prediction: what the denoiser was trained to say
    learned: bool  # whether there is an embedder

    def __str__(self) -> str:
        widest, total = max(map(len, self.parts)), sum(size for _, size in self.parts.values())
        said = [f"made   {self.folder}: {self.family}, {self.prediction}, {_megabytes(total)}"]
        said += [f"       {name:<{widest}}  {kind}, {_megabytes(size)}" for name, (kind, size) in self.parts.items()]
        if not self.learned:
            said += ["       no embedder: it draws the name of what it hears (--token label)"]
        return "\n".join([*said, f"next   audiotoken generate clip.wav --model {quote(str(self.folder))}"])


def assemble(
    base: str | os.PathLike,
    encoder: str | None = None,
    embedder: str | os.PathLike | None = None,
    output: str | os.PathLike = "model",
    *,
    layers: Sequence[int] | None = None,
    labels: str | os.PathLike | None = None,
    lora: str | os.PathLike | None = None,
    dtype: str = "float32",
    base_config: str | None = None,
) -> Assembled:
    """Load the parts, see that they fit, write them into the folder `output`, whole or not at all.

    base: a folder in the diffusers layout, a hub id, or one file, for which `base_config` (a folder or hub id; the json
        and txt files are enough) says how it is built; without it diffusers asks the hub.
    encoder, layers, labels: see `encoders.load.load_encoder`; without an encoder the base's own, if it has one.
    embedder: see `parts.load_embedder`; None for label tokens only.
    lora: a folder of LoRA layers of the UNet, melted into it; a training run's own by default.
    dtype: of what draws, as it is written; the audio parts stay in float32.

    Raises CheckpointError or OptionError, one sentence each; what does not fit is refused before the base is loaded.
    """
    if dtype not in DTYPES:
        raise OptionError(f"Got dtype={dtype}, want one of {', '.join(DTYPES)}; change it.")
    output = Path(output).expanduser()
    check_place(output)
    silence_library_logs()
    seen = look_at(base)
    words = None if embedder is None else load_embedder(embedder)
    _check_tokens(seen, words)
    if encoder is None and not has_encoder(seen.where):
        raise OptionError(f"There is no audio encoder in {seen.where}; give --encoder, one of {ENCODERS}.")
    ears = load_encoder(encoder or seen.where, layers, labels)
    _check_features(encoder or f"the encoder of {base}", ears, words)

    import torch

    pipe = load_base(seen, getattr(torch, dtype), base_config, audio_encoder=ears, audio_embedder=words)
    layers_of_run = lora or (None if embedder is None else lora_beside(embedder))
    if layers_of_run is not None:
        _melt(pipe, layers_of_run)
    _check_room(pipe, output)
    sources = {"base": str(base), "audio_encoder": encoder or str(base), "audio_embedder": str(embedder or "")}
    _write(pipe, output, _card(pipe, seen, sources, layers_of_run))
    return Assembled(output, seen.family, _parts(pipe, output), _prediction(pipe), words is not None)


def check_place(folder: Path) -> None:
    """OptionError unless `folder` is new, empty, or a model that was assembled before."""
    if folder.is_dir() and any(folder.iterdir()) and not _is_assembled(folder):
        raise OptionError(
            f"Cannot write {folder}: it holds something else than an assembled model; choose another folder."
        )
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"Cannot write {folder}: it is a file; choose a folder.")


def _is_assembled(folder: Path) -> bool:
    index = folder / "model_index.json"
    return index.is_file() and '"AudioToken' in index.read_text(encoding="utf-8", errors="replace")


def _check_tokens(base: Base, embedder: Any) -> None:
    gives = None if embedder is None else embedder.config["output_size"]
    if gives not in (None, base.token_width):
        raise OptionError(
            f"The embedder gives tokens {gives} wide, but the words of {base.where} ({base.family}) are "
            f"{base.token_width} wide; take the base it was trained for."
        )


def _check_features(spec: str, encoder: AudioEncoder, embedder: Any) -> None:
    if embedder is None:
        _check_names(spec, encoder.labels)
    elif embedder.config["input_size"] != encoder.width:
        raise OptionError(
            f"The embedder takes features {embedder.config['input_size']} wide, but {spec} gives {encoder.width}; take "
            "the encoder and the layers it was trained with."
        )


def _check_names(spec: str, labels: Sequence[str]) -> None:
    """Without an embedder at least one label must be a thing to draw."""
    try:
        choose_subject([(label, 0.0) for label in labels])
    except (CheckpointError, PromptError):
        raise OptionError(
            f"There is no embedder, and {spec} names no sound that can be drawn; give --embedder, or names by --labels."
        ) from None


def _melt(pipe: Any, lora: str | os.PathLike) -> None:
    """LoRA layers into the weights of the UNet, so that the folder needs nothing beside it."""
    try:
        pipe.load_lora_weights(str(lora))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise OptionError(
            f"Cannot use the LoRA layers in {lora}: {reason}; give a folder that training wrote."
        ) from None
    pipe.fuse_lora(components=["unet"])
    pipe.unload_lora_weights()


def _check_room(pipe: Any, output: Path) -> None:
    wanted = sum(weight.nbytes for part in _modules(pipe).values() for weight in part.state_dict().values()) + SPARE
    place = next(folder for folder in output.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(place).free
    if free < wanted:
        raise OptionError(
            f"Cannot write {output}: it needs {_megabytes(wanted)}, {_megabytes(free)} are free; make room, choose "
            "another disk, or say --dtype float16."
        )


def _write(pipe: Any, output: Path, card: str) -> None:
    """Into a temporary neighbour, which then takes the place of `output`; what a killed call left there is cleared."""
    from safetensors import SafetensorError

    target = output.absolute()
    unfinished, old = (target.with_name(f".{target.name}.{state}") for state in ("unfinished", "old"))
    try:
        for folder in (unfinished, old):
            shutil.rmtree(folder, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        pipe.save_pretrained(unfinished)
        (unfinished / "README.md").write_text(card, encoding="utf-8")
        if target.exists():
            target.rename(old)
        unfinished.rename(target)
    except OSError as error:
        raise cannot_write(output, error) from None
    except SafetensorError as error:  # also of a full disk
        raise OptionError(f"Cannot write {output}: {error}; make room or choose another disk.") from None
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for folder in (unfinished, old):
            shutil.rmtree(folder, ignore_errors=True)


def _parts(pipe: Any, folder: Path) -> dict[str, tuple[str, int]]:
    sizes = {
        name: (type(part).__name__, sum(file.stat().st_size for file in (folder / name).rglob("*")))
        for name, part in _modules(pipe).items()
    }
    return dict(sorted(sizes.items(), key=lambda each: -each[1][1]))


def _modules(pipe: Any) -> dict[str, Any]:
    return {name: part for name, part in pipe.components.items() if hasattr(part, "state_dict")}


def _prediction(pipe: Any) -> str:
    return pipe.scheduler.config.get("prediction_type", "epsilon")


def _card(pipe: Any, base: Base, sources: dict[str, str], lora: Any) -> str:
    """README.md of the folder: what it is made of, and whose it is."""
    named = {part: _public(where) for part, where in sources.items()} | ({"lora": _public(str(lora))} if lora else {})
    rows = [[part, where or "none: label tokens only"] for part, where in named.items()]
    call = "" if pipe.audio_embedder is not None else ', token="label"'
    steps = f"{pipe.config.default_steps} steps, guidance {pipe.config.default_guidance:g}"
    return "\n".join(
        [
            "---\nlibrary_name: diffusers\ntags: [audio-to-image, audiotoken]\n---",
            "# A model that hears and draws\n",
            f"Assembled by `audiotoken assemble` from {base.family} and audio parts (AudioToken, arXiv 2305.13050).\n",
            markdown_table(["part", "from"], rows),
            "\n```python\nfrom audiotoken import AudioTokenPipeline\n",
            'pipe = AudioTokenPipeline.from_pretrained("this folder")',
            f'pipe("clip.wav"{call}).images[0].save("clip.png")\n```\n',
            f"It predicts {_prediction(pipe)}; by default {steps}.",
            "The parts are their authors' work; each keeps its licence and its terms of use, which hold for this folder"
            " and for what is made with it.\n",
        ]
    )


def _public(where: str) -> str:
    """A hub id as it is; of a place on this machine the last name only."""
    kind, colon, rest = where.partition(":") if where.startswith(("beats:", "ast:", "clap:")) else ("", "", where)
    return f"{kind}{colon}{Path(rest).name if Path(rest).expanduser().exists() else rest}"


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
