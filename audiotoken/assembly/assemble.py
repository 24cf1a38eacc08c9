"""Assemble a base model and audio parts into one self-contained model folder.

    python -m experiments.assemble base=sd-folder encoder=beats:BEATs.pt embedder=embedder.bin output=model

`audiotoken assemble` is the same without Hydra. `AudioTokenPipeline.from_pretrained(folder)` loads the result.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError

from audiotoken.assembly.base import Base, inspect_base, load_base
from audiotoken.assembly.lora import fuse_lora
from audiotoken.assembly.parts import find_lora, has_embedder, load_embedder
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders import AudioEncoder
from audiotoken.encoders.load import has_encoder, load_encoder
from audiotoken.errors import CheckpointError, OptionError, PromptError
from audiotoken.folder_lock import replacing_alone
from audiotoken.labels import choose_subject
from audiotoken.loading import ENCODER_KINDS, ENCODERS
from audiotoken.model import silence_library_logs
from audiotoken.tables import markdown_table
from audiotoken.writing import cannot_write, check_inputs_kept, check_output_folder, format_size

DTYPES = ("float32", "bfloat16", "float16")
CARD = "README.md"
PLAIN_PARTS = ("scheduler", "tokenizer", "tokenizer_2", "tokenizer_3", "feature_extractor")  # have no config.json
SPARE = 16 * 2**20  # bytes for files other than weights


@dataclass(frozen=True)
class AssembledModel:
    """An assembled model folder."""

    folder: Path
    family: str
    parts: dict[str, tuple[str, int]]  # name -> (class, bytes on disk)
    prediction: str  # epsilon, v_prediction or flow: the output that the denoiser is trained for
    has_embedder: bool
    left_out: bool = False  # whether the base has an embedder, which is for another encoder

    def __str__(self) -> str:
        widest, total = max(map(len, self.parts)), sum(size for _, size in self.parts.values())
        lines = [f"made   {self.folder}: {self.family}, {self.prediction}, {format_size(total)}"]
        lines += [f"       {name:<{widest}}  {kind}, {format_size(size)}" for name, (kind, size) in self.parts.items()]
        if self.left_out:
            lines += ["       the base's embedder is for the base's own encoder, so it was left out"]
        if not self.has_embedder:
            lines += ["       no embedder: sounds are drawn by their labels (--token label)"]
        model = "./mini" if str(self.folder) == "mini" else str(self.folder)  # "mini" alone is the built-in model
        return "\n".join([*lines, f"next   audiotoken generate clip.wav --model {quote(model)}"])


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
    steps: int | None = None,
    guidance_scale: float | None = None,
) -> AssembledModel:
    """Load the parts, check that they fit, and write them to the folder `output`, whole or not at all.

    base: a folder in the diffusers layout, a hub id, or one file, for which `base_config` (a folder or hub id; the json
        and txt files are enough) describes the architecture; without it diffusers asks the hub.
    encoder, layers, labels: see `encoders.load.load_encoder`; without an encoder the base's own, if it has one.
    embedder: see `parts.load_embedder`; by default the base's own if it keeps its encoder, else label tokens only.
    lora: a folder of LoRA layers of the denoiser, which are fused into it; by default those of the training run.
    dtype: of the written base; the audio parts stay in float32.
    steps, guidance_scale: what the model draws with unless told otherwise; by default what its family's pipeline does.

    Raises CheckpointError or OptionError; parts that do not fit are refused before the base is loaded, and a folder
    that another process assembles now is before anything is.
    """
    if dtype not in DTYPES:
        raise OptionError(f"Got dtype={dtype}, expected one of {', '.join(DTYPES)}; change it.")
    output = Path(os.path.expanduser(output))
    _check_parts_kept(output, base, encoder, embedder, lora, labels, base_config)
    _check_model_folder(output)
    silence_library_logs()
    with replacing_alone(output):
        parts = _load_parts(base, encoder, embedder, layers, labels)
        pipe = load_base(
            parts.base, getattr(torch, dtype), base_config,
            audio_encoder=parts.encoder, audio_embedder=parts.embedder,
        )  # fmt: skip
        defaults = {"default_steps": steps, "default_guidance": guidance_scale}
        pipe.register_to_config(**{name: value for name, value in defaults.items() if value is not None})
        lora_folder = lora or (None if embedder is None else find_lora(embedder))
        if lora_folder is not None:
            fuse_lora(pipe, lora_folder)
        _check_disk_space(pipe, output)
        origins = {"base": str(base), "audio_encoder": encoder or str(base), "audio_embedder": parts.embedder_from}
        _write(pipe, output, _format_card(pipe, parts.base, origins, lora_folder))
        return _summarise(pipe, output, parts)


class _Parts(NamedTuple):
    """What is put together; an embedder of None draws label tokens."""

    base: Base
    encoder: AudioEncoder
    embedder: AudioEmbedder | None
    embedder_from: str  # "" for none


def _load_parts(
    base: str | os.PathLike,
    encoder: str | None,
    embedder: str | os.PathLike | None,
    layers: Sequence[int] | None,
    labels: str | os.PathLike | None,
) -> _Parts:
    """The base looked into, and the audio parts, which fit it and each other."""
    inspected = inspect_base(base)
    if encoder is None and not has_encoder(inspected.source):
        raise OptionError(f"There is no audio encoder in {inspected.source}; pass --encoder, one of {ENCODERS}.")
    own = has_embedder(inspected.source)  # trained for the base's own encoder
    wanted = embedder or (inspected.source if own and encoder is None else None)
    audio_embedder = None if wanted is None else load_embedder(wanted)
    _check_tokens(inspected, audio_embedder)
    audio_encoder = load_encoder(encoder or inspected.source, layers, labels)
    _check_features(encoder or f"the encoder of {base}", audio_encoder, audio_embedder)
    return _Parts(inspected, audio_encoder, audio_embedder, str(wanted or ""))


def _summarise(pipe: Any, folder: Path, parts: _Parts) -> AssembledModel:
    left_out = parts.embedder is None and has_embedder(parts.base.source)
    measured, prediction = _measure_parts(pipe, folder), _read_prediction_type(pipe)
    return AssembledModel(folder, parts.base.family, measured, prediction, parts.embedder is not None, left_out)


def _check_model_folder(folder: Path) -> None:
    """OptionError unless `folder` is new, empty, or an assembled model, and can be written to."""
    check_output_folder(folder)
    if folder.is_dir() and any(folder.iterdir()) and not _is_assembled(folder):
        raise OptionError(
            f"Cannot write {folder}: it holds files that are not an assembled model; choose another folder."
        )
    if more := sorted(each.name for each in folder.glob("*") if not _is_part(each)):
        raise OptionError(f"Cannot write {folder}: {more[0]} in it is not part of a model; move it, or choose another.")


def _check_parts_kept(output: Path, *parts: str | os.PathLike | None) -> None:
    """OptionError if a part, which may be written as KIND:FILE, is in the folder that is replaced."""
    files = [None if part is None else str(part).partition(":")[2] or part for part in parts]
    check_inputs_kept([], [*parts, *files], replaced=output)


def _is_assembled(folder: Path) -> bool:
    index = folder / "model_index.json"
    return index.is_file() and '"AudioToken' in index.read_text(encoding="utf-8", errors="replace")


def _is_part(path: Path) -> bool:
    """Whether a file or folder in the folder of a model was written with it."""
    return path.name in ("model_index.json", CARD) or (path / "config.json").is_file() or path.name in PLAIN_PARTS


def _check_tokens(base: Base, embedder: Any) -> None:
    width = None if embedder is None else embedder.config["output_size"]
    if width not in (None, base.token_width):
        raise OptionError(
            f"The embedder outputs tokens {width} wide, but {base.source} ({base.family}) expects "
            f"{base.token_width}; use the base it was trained for."
        )


def _check_features(spec: str, encoder: AudioEncoder, embedder: Any) -> None:
    if embedder is None:
        _check_labels(spec, encoder.labels)
    elif embedder.config["input_size"] != encoder.width:
        raise OptionError(
            f"The embedder expects features {embedder.config['input_size']} wide, but {spec} outputs {encoder.width}; "
            "use the encoder and the layers it was trained with."
        )


def _check_labels(spec: str, labels: Sequence[str]) -> None:
    """Without an embedder at least one label must be drawable."""
    try:
        choose_subject([(label, 0.0) for label in labels])
    except (CheckpointError, PromptError):
        raise OptionError(
            f"There is no embedder, and {spec} has no label that can be drawn; pass --embedder, or "
            "labels with --labels."
        ) from None


def _check_disk_space(pipe: Any, output: Path) -> None:
    needed = (
        sum(weight.nbytes for part in _list_modules(pipe).values() for weight in part.state_dict().values()) + SPARE
    )
    place = next(folder for folder in output.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise OptionError(
            f"Cannot write {output}: it needs {format_size(needed)}, but {format_size(free)} are free; free space, "
            "choose another disk, or use --dtype float16."
        )


def _write(pipe: Any, output: Path, card: str) -> None:
    """Write to a temporary folder beside `output` and rename it; leftovers of a killed call are removed."""
    target = output.absolute()
    unfinished, old = (target.with_name(f".{target.name}.{state}") for state in ("unfinished", "old"))
    try:
        for folder in (unfinished, old):
            shutil.rmtree(folder, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        pipe.save_pretrained(unfinished)
        _forget_origins(unfinished)
        (unfinished / CARD).write_text(card, encoding="utf-8")
        if target.exists():
            target.rename(old)
        unfinished.rename(target)
    except OSError as error:
        raise cannot_write(output, error) from None
    except SafetensorError as error:  # for example of a full disk
        raise OptionError(f"Cannot write {output}: {error}; free space or choose another disk.") from None
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for folder in (unfinished, old):
            shutil.rmtree(folder, ignore_errors=True)


def _forget_origins(folder: Path) -> None:
    """Remove from the configurations where the parts lay on this machine, which diffusers notes."""
    for path in (folder / "model_index.json", *folder.glob("*/config.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _measure_parts(pipe: Any, folder: Path) -> dict[str, tuple[str, int]]:
    sizes = {
        name: (type(part).__name__, sum(file.stat().st_size for file in (folder / name).rglob("*")))
        for name, part in _list_modules(pipe).items()
    }
    return dict(sorted(sizes.items(), key=lambda each: -each[1][1]))


def _list_modules(pipe: Any) -> dict[str, Any]:
    return {name: part for name, part in pipe.components.items() if hasattr(part, "state_dict")}


def _read_prediction_type(pipe: Any) -> str:
    """What the denoiser predicts: epsilon, v_prediction, or the velocity of rectified flow."""
    if pipe.denoiser_name == "transformer":
        return "flow"
    return str(pipe.scheduler.config.get("prediction_type", "epsilon"))


def _format_card(pipe: Any, base: Base, sources: dict[str, str], lora: Any) -> str:
    """README.md of the folder: its parts and their licences."""
    named = {part: _public_name(where) for part, where in sources.items()} | (
        {"lora": _public_name(str(lora))} if lora else {}
    )
    rows = [[part, where or "none: label tokens only"] for part, where in named.items()]
    call = "" if pipe.audio_embedder is not None else ', token="label"'
    steps = f"{pipe.config.default_steps} steps, guidance scale {pipe.config.default_guidance:g}"
    return "\n".join(
        [
            "---\nlibrary_name: diffusers\ntags: [audio-to-image, audiotoken]\n---",
            "# A model that draws sounds\n",
            f"Assembled by `audiotoken assemble` from {base.family} and audio parts (AudioToken, arXiv 2305.13050).\n",
            markdown_table(["part", "from"], rows),
            "\n```python\nfrom audiotoken import AudioTokenPipeline\n",
            'pipe = AudioTokenPipeline.from_pretrained("this folder")',
            f'pipe("clip.wav"{call}).images[0].save("clip.png")\n```\n',
            "`DiffusionPipeline.from_pretrained` of diffusers does not know this class, which is in the package"
            " `spatial-audiotoken`: load it as above.\n",
            f"The denoiser predicts {_read_prediction_type(pipe)}; the defaults are {steps}.",
            "The parts are their authors' work. Each keeps its licence and its terms of use, which also apply to this"
            " folder and to pictures made with it.\n",
        ]
    )


def _public_name(where: str) -> str:
    """A hub id unchanged; a path on this machine without its folders."""
    kind, colon, rest = where.partition(":")
    if not colon or kind not in ENCODER_KINDS:
        kind, colon, rest = "", "", where
    return f"{kind}{colon}{Path(rest).name if Path(os.path.expanduser(rest)).exists() else rest}"
