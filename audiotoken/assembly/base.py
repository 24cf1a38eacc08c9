"""The base model as it is published: a folder in the diffusers layout, a hub id, or one file of weights.

`inspect_base` reads names and shapes only, so that a base that does not fit is refused before it is loaded.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken.checkpoint import read_checkpoint
from audiotoken.errors import CheckpointError, first_sentence
from audiotoken.hub_access import use_hub_if_reachable
from audiotoken.json_file import FormError
from audiotoken.json_file import read_json as read_object
from audiotoken.loading import JOINT_CLASSES, OR_LAYOUT, SUPPORTED, find_model
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.pipeline_xl import AudioTokenXLPipeline

if TYPE_CHECKING:
    import torch

WANTED = (
    f"a folder of {SUPPORTED} in the diffusers layout, its hub id, or one .safetensors or .ckpt file of Stable "
    "Diffusion 1, 2 or XL"
)
FILE_WANTED = "a whole Stable Diffusion 1, 2 or XL checkpoint as .safetensors"
SINGLE = (".safetensors", ".ckpt")
SD, XL = "Stable Diffusion", "Stable Diffusion XL"
FAMILIES = {
    "StableDiffusionPipeline": SD,
    "AudioTokenPipeline": SD,
    "StableDiffusionXLPipeline": XL,
    "AudioTokenXLPipeline": XL,
}
JOINT_FAMILIES = {  # transformers, by our class for them
    "AudioTokenSD3Pipeline": "Stable Diffusion 3",
    "AudioTokenFluxPipeline": "FLUX.1",
    "AudioTokenFlux2DevPipeline": "FLUX.2 dev",
    "AudioTokenFlux2Pipeline": "FLUX.2 Klein",
    "AudioTokenChromaPipeline": "Chroma",
    "AudioTokenQwenImagePipeline": "Qwen-Image",
    "AudioTokenZImagePipeline": "Z-Image",
}
TEXT_ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
WIDTH_KEYS = ("hidden_size", "d_model")  # of a text encoder's config
LIBRARIES = {"diffusers", "transformers", "stable_diffusion", None}  # that the index of a base may name
OWN = "audiotoken."  # our own modules are allowed as well

UNET = "model.diffusion_model."
FIRST, LAST = f"{UNET}input_blocks.0.0.weight", f"{UNET}out.2.weight"
SD1_WORDS = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
SD2_WORDS = "cond_stage_model.model.token_embedding.weight"
XL_WORDS = (
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight",
    "conditioner.embedders.1.model.token_embedding.weight",
)
KNOWN_FILES = (((SD1_WORDS,), SD), ((SD2_WORDS,), SD), (XL_WORDS, XL))


@dataclass(frozen=True)
class Base:
    """What is known of a base without loading it."""

    source: str  # the folder, hub id or file
    family: str
    token_width: int  # summed over its text encoders
    single_file: bool = False


def inspect_base(where: str | os.PathLike) -> Base:
    """Read the family and width of a base; raises CheckpointError if it is none of `WANTED`."""
    path = Path(os.path.expanduser(where))
    if path.is_file() or path.suffix.lower() in (*SINGLE, ".pt", ".bin", ".pth"):
        return _inspect_file(path)
    if str(where) == "mini":
        where = find_model("mini")
        path = Path(where)
    index = read_json(where, "model_index.json")
    name = str(index.get("_class_name"))
    family = FAMILIES.get(name) or JOINT_FAMILIES.get(JOINT_CLASSES.get(name, ""))
    if family is None:
        raise CheckpointError(
            f"Cannot use {where}: its class is {name}, which is not supported; pass {WANTED}, {OR_LAYOUT}."
        )
    check_libraries(index, where)
    texts = TEXT_ENCODERS if name in JOINT_CLASSES else TEXT_ENCODERS[: 1 + (family == XL)]
    width = sum(_read_width(where, text) for text in texts if name not in JOINT_CLASSES or any(index.get(text) or ()))
    if name not in JOINT_CLASSES:
        numbers = (_read_number(where, "unet/config.json", key) for key in ("in_channels", "out_channels"))
        _check_channels(where, *numbers)
    return Base(str(path if path.is_dir() else where), family, width)


def load_base(base: Base, dtype: "torch.dtype", base_config: str | None = None, **audio_parts: Any) -> Any:
    """Load the pipeline with its `audio_encoder` and `audio_embedder`, on the CPU."""
    if base.single_file:
        return _load_file(base, dtype, base_config, audio_parts)
    if base_config is not None:
        raise CheckpointError(f"Got --base-config {base_config}, but {base.source} has its own; leave it out.")
    try:
        return AudioTokenPipeline.from_pretrained(base.source, dtype=dtype, **audio_parts)
    except CheckpointError:
        try:  # folders with half precision only name their files so
            return AudioTokenPipeline.from_pretrained(base.source, dtype=dtype, variant="fp16", **audio_parts)
        except CheckpointError:
            pass
        raise


def read_json(where: str | os.PathLike, name: str) -> dict[str, Any]:
    """Read a small file of a folder or of a hub repository."""
    try:
        return read_object(_fetch_file(where, name))
    except FormError as error:
        raise CheckpointError(f"Cannot use {where}: {name} cannot be read: {error}; pass {WANTED}.") from None


def check_libraries(index: dict[str, Any], where: str | os.PathLike) -> None:
    """Refuse an index that names foreign modules, so that loading imports none of them."""
    for name, value in index.items():
        library = value[0] if isinstance(value, list) and value else None
        library = None if library is None else str(library)
        if library not in LIBRARIES and not str(library).startswith(OWN):
            raise CheckpointError(
                f"Cannot use {where}: its part {name} belongs to the foreign library {library}; pass {WANTED}."
            )


def _fetch_file(where: str | os.PathLike, name: str) -> Path:
    path = Path(os.path.expanduser(where))
    if path.is_dir() or str(where).count("/") != 1 or str(where)[0] in "./~":
        if not (path / name).is_file():
            what = f"it holds no {name}" if path.is_dir() else "there is no such folder or file"
            raise CheckpointError(f"Cannot use {where}: {what}; pass {WANTED}.")
        return path / name

    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    use_hub_if_reachable(where)
    try:
        return Path(hf_hub_download(str(where), name))
    except LocalEntryNotFoundError:
        raise CheckpointError(
            f"Cannot use {where}: it is not a folder here, and the hub cannot be reached; copy the model's folder to "
            "this machine and pass that."
        ) from None
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise CheckpointError(
            f"Cannot use {where}: the hub has no {name} for it ({first_sentence(error)}); pass {WANTED}."
        ) from None


def _read_number(where: str | os.PathLike, file: str, key: str) -> int:
    value = read_json(where, file).get(key)
    if not isinstance(value, int):
        raise CheckpointError(f"Cannot use {where}: {file} has no {key}; pass {WANTED}.")
    return value


def _read_width(where: str | os.PathLike, text_encoder: str) -> int:
    """Width of a text encoder's input embeddings."""
    file = f"{text_encoder}/config.json"
    config = read_json(where, file)
    for values in (config, config.get("text_config")):  # models that also see keep those of the text apart
        for key in WIDTH_KEYS:
            if isinstance(values, dict) and isinstance(values.get(key), int):
                return int(values[key])
    raise CheckpointError(f"Cannot use {where}: {file} has no {WIDTH_KEYS[0]}; pass {WANTED}.")


def _check_channels(where: str | os.PathLike, inputs: int, outputs: int) -> None:
    if inputs != outputs:
        raise CheckpointError(
            f"Cannot use {where}: its UNet has {inputs} input and {outputs} output channels, as for inpainting or "
            "editing; pass a text-to-image model."
        )


def _inspect_file(path: Path) -> Base:
    if path.suffix.lower() not in SINGLE:
        raise CheckpointError(f"Cannot use {path}: got the suffix {path.suffix!r}; pass {WANTED}.")
    shapes = _shapes(path)
    for words, family in KNOWN_FILES:
        if all(word in shapes for word in words):
            if not {FIRST, LAST} <= shapes.keys():
                break
            _check_channels(path, shapes[FIRST][1], shapes[LAST][0])
            return Base(str(path), family, sum(shapes[word][1] for word in words), single_file=True)
    raise CheckpointError(
        f"Cannot use {path}: it lacks a UNet or text encoder under the known names; pass {FILE_WANTED}."
    )


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of each tensor; only the header of a .safetensors is read."""
    if not path.is_file():
        raise CheckpointError(f"Cannot use {path}: there is no such file; pass {WANTED}.")
    if path.suffix.lower() == ".ckpt":
        content = read_checkpoint(path, FILE_WANTED)  # weights and plain values only
        while isinstance(content, dict) and "state_dict" in content:
            content = content["state_dict"]
        return {name: tuple(value.shape) for name, value in dict(content).items() if hasattr(value, "shape")}

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"Cannot use {path}: it is damaged or truncated ({first_sentence(error)}); download it again."
        ) from None


def _load_file(base: Base, dtype: "torch.dtype", base_config: str | None, audio_parts: dict[str, Any]) -> Any:
    """Load a single file with diffusers' conversion, which takes everything except weights from `base_config`."""
    from diffusers.loaders.single_file_utils import SingleFileComponentError

    if base_config is not None:
        _check_config(base, base_config)
    kind = AudioTokenXLPipeline if base.family == XL else AudioTokenPipeline
    try:
        return kind.from_single_file(base.source, config=base_config, dtype=dtype, **audio_parts)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SingleFileComponentError) as error:
        if base_config is None and isinstance(error, OSError):
            raise CheckpointError(
                f"Cannot load {base.source}: a file of weights does not describe its architecture, and the hub, "
                "which does, cannot be reached; pass --base-config FOLDER with the json and txt files of such a model."
            ) from error
        incomplete = "meta tensor" in str(error)  # diffusers left a weight without values
        reason = "some of its weights are missing" if incomplete else first_sentence(error)
        raise CheckpointError(f"Cannot load {base.source}: {reason}; pass {FILE_WANTED}.") from error


def _check_config(base: Base, base_config: str) -> None:
    """The folder or hub id must describe a model of the same family and width."""
    described = inspect_base(base_config)
    if (described.family, described.token_width) != (base.family, base.token_width):
        raise CheckpointError(
            f"The --base-config {base_config} does not describe {base.source}: it is a {described.family} with tokens "
            f"{described.token_width} wide, the file a {base.family} with {base.token_width}; pass a matching one."
        )
