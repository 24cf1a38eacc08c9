"""YAMNet's layers become a branch of the mini encoder: a checkpoint of TensorFlow is read, and encoders are joined."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from audiotoken.encoders.mini import MiniEncoder
from experiments.world.training.yamnet import join_encoders, list_layers, load_trunk, read_checkpoint, read_varint

NAME = "a/layer_with_weights-{}/{}/.ATTRIBUTES/VARIABLE_VALUE"
MOBILE = (3, 4, 4, 5, 6, 6, 8)


def varint(number: int) -> bytes:
    low, high = number & 127, number >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


def block(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """A block whose second and later keys leave out what they share with the one before."""
    out, last = b"", b""
    for key, value in pairs:
        shared = next((i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), min(len(key), len(last)))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return out + struct.pack("<II", 0, 1)


def write_checkpoint(folder: Path, variables: dict[str, np.ndarray]) -> None:
    """As TensorFlow does, with an entry that is text."""
    pairs, values = [(b"", b"\x08\x01"), (b"_GRAPH", b"\x08\x07")], b"text"
    for name, value in sorted(variables.items()):
        sizes = b"".join(b"\x12" + varint(len(varint(n)) + 1) + b"\x08" + varint(n) for n in value.shape)
        entry = (
            b"\x08\x01\x12"
            + varint(len(sizes))
            + sizes
            + b"\x20"
            + varint(len(values))
            + b"\x28"
            + varint(value.nbytes)
        )
        pairs.append((name.encode(), entry + b"\x35abcd"))
        values += value.astype("<f4").tobytes()
    data = block(pairs)
    index = block([(b"z", varint(0) + varint(len(data)))])
    footer = varint(0) + varint(0) + varint(len(data)) + varint(len(index))
    (folder / "variables.index").write_bytes(data + index + footer.ljust(48, b"\0"))
    (folder / "variables.data-00000-of-00001").write_bytes(values)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    random = np.random.default_rng(0)
    written = {
        NAME.format(k, n): random.normal(size=s).astype("f")
        for k, n, s in ((2, "kernel", (2, 3)), (10, "beta", (130,)))
    }
    written["scalar"] = np.float32(2.5).reshape(())
    write_checkpoint(tmp_path, written)
    read = read_checkpoint(tmp_path)
    assert read.keys() == written.keys()
    for name, value in written.items():
        np.testing.assert_array_equal(read[name], value)
    assert [sorted(layer) for layer in list_layers(read)] == [["kernel"], ["beta"]]


def test_long_numbers_take_several_bytes():
    assert read_varint(b"\x00\xac\x02\x07", 1) == (300, 3)


def test_the_layers_of_keras_fill_a_trunk():
    """Keras writes kernels as (rows, columns, inputs, outputs), those of single channels as (..., channels, 1)."""
    trunk = MiniEncoder(labels=("dog",), width=4, channels=(), mobile=MOBILE).trunk
    kernel, apart = torch.randn(3, 3, 1, 3), torch.randn(3, 3, 3, 1)
    norm = {"beta": torch.randn(3), "moving_mean": torch.randn(3), "moving_variance": torch.rand(3)}
    load_trunk(trunk, [{"kernel": kernel}, norm, {"depthwise_kernel": apart}])
    first, second = trunk[1][0].weight, trunk[2][0].weight
    assert first[2, 0, 1, 0] == kernel[1, 0, 0, 2] and second[2, 0, 1, 0] == apart[1, 0, 2, 0]
    assert torch.equal(trunk[1][1].running_var, norm["moving_variance"]) and torch.equal(trunk[1][1].bias, norm["beta"])


@pytest.fixture(scope="module")
def pair() -> tuple[MiniEncoder, MiniEncoder]:
    torch.manual_seed(0)
    plain = MiniEncoder(labels=("dog", "rain"), width=4, channels=(4, 4, 4, 4, 4)).eval()
    return plain, MiniEncoder(labels=("dog", "rain"), width=4, channels=(), mobile=MOBILE).eval()


def test_joined_encoders_say_the_mean_of_their_scores(pair):
    sound = torch.randn(2, 80, 128)
    with torch.no_grad():
        both, parts = join_encoders(*pair), [one.score(one.embed(sound)) for one in pair]
        torch.testing.assert_close(both.score(both.embed(sound)), sum(parts) / 2)
        assert (parts[0] - parts[1]).abs().max() > 1e-3
