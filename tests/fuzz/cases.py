"""What is done with odd inputs, one function a family, and what must be true of whatever comes out.

A case is `(rng, folder) -> what the input was`. It raises `Wrong` when something came out that should not have; what
the library itself refuses it lets pass.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.inputs import NAMES, Rng, any_file, odd_number, odd_recording, pick, picture_file, spoilt, zip_bomb

Case = Callable[[Rng, Path], str]
SETUPS = (*("auto",) * 8, "panned", "spaced", "ortf", "nos", "xy", "ms", "binaural", "mono", "nonsense")
WORDS = ("a photo of", "<audio>", "(<audio>:1.3)", "(<audio>:nan)", "(<audio>:", "a dog and a cat", "<|endoftext|>")
MORE_WORDS = ("🐕" * 9, "\0", "word " * 99, "", "\u202e", "a {} %s", "\\", "dog, rain. bird", "ﬁ", "\ud800")


class Wrong(Exception):
    """What came out is not what it should be."""


def hold(true: Any, what: str) -> None:
    if not true:
        raise Wrong(what)


@contextmanager
def described(what: str) -> Iterator[None]:
    """An error is told what the input was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"input: {what}")
        raise


def read(rng: Rng, folder: Path) -> str:
    """A file, read at once and in blocks."""
    from audiotoken.audio import load_audio, to_mono
    from audiotoken.audio_file import read_blocks, read_length

    path, what = any_file(rng, folder)
    wanted = pick(rng, (None, None, 16_000, 8000, 44_100, 192_000, 12_345))
    with described(what):
        recording, rate = load_audio(path, wanted)
        _check_recording(recording)
        hold(wanted in (None, rate), f"rate {rate}, not {wanted}")
        hold(np.isfinite(to_mono(recording)).all(), "NaN in mono")
        length = read_length(path)
        if length and wanted is None:
            frames = sum(block.shape[1] for block in read_blocks(path, max(1, length[0] // 7)))
            hold((frames, length[1]) == (recording.shape[1], rate), f"{frames} frames in blocks, {recording.shape}")
    return what


def _check_recording(recording: Any) -> None:
    hold(recording.dtype == np.float32 and recording.ndim == 2 and recording.size, f"{recording.dtype}")
    hold(np.isfinite(recording).all(), "NaN in the recording")
    hold(np.abs(recording).max() <= 1, "louder than full scale")


def array(rng: Rng, folder: Path) -> str:
    """An array at the door."""
    from audiotoken.audio import as_recording, to_mono

    recording, rate, what = odd_recording(rng, 0.2)
    given, kind = _array_of(rng, recording)
    rate = rate if rng.random() < 0.8 else pick(rng, (None, 0, -1, 1.5, "16000", True, 2**70, np.nan, np.int64(8000)))
    wanted = pick(rng, (None, None, None, 16_000, 1, 192_000, 0, 1.5, 44_101))
    before = given.copy() if isinstance(given, np.ndarray) else None
    with described(f"{kind}; {what}; rate {rate!r} to {wanted!r}"):
        heard, _ = as_recording(given, rate, resample_to=wanted)
        _check_recording(heard)
        hold(np.isfinite(to_mono(heard)).all(), "NaN in mono")
        if before is not None and before.dtype != object:
            hold(np.array_equal(before, given, equal_nan=before.dtype.kind == "f"), "the input was changed")
    return f"{kind}; {what}"


def _array_of(rng: Rng, recording: Any) -> tuple[Any, str]:
    kind = pick(rng, ("float32",) * 5 + ("int8", "int16", "int32", "int64", "uint8", "uint16", "bool", "float16"))
    if rng.random() < 0.4:
        kind = pick(rng, ("float64", "complex64", "object", "list", "0-d", "3-d", "empty", "backwards", "torch", "U5"))
    with np.errstate(all="ignore"):
        if kind in ("int8", "int16", "int32", "int64", "uint8", "uint16"):
            limits = np.iinfo(kind)
            return np.clip(np.nan_to_num(recording) * limits.max, limits.min, limits.max / 2).astype(kind), kind
        if kind == "torch":
            import torch

            dtype = pick(rng, (torch.float32, torch.bfloat16, torch.int16, torch.bool, torch.complex64))
            return torch.from_numpy(np.nan_to_num(recording)).to(dtype), str(dtype)
        shapes = {"list": recording.tolist, "0-d": lambda: np.float32(0.5), "3-d": lambda: recording[None]}
        shapes |= {"empty": lambda: recording[:, :0], "backwards": lambda: recording[::-1, ::-1]}
        return shapes[kind]() if kind in shapes else recording.astype(kind), kind


def listen(rng: Rng, folder: Path) -> str:
    """The listener, on recordings that nobody checked before."""
    from spatial.listening import listen as hear

    recording, rate, what = odd_recording(rng, 0.3, most=2 if rng.random() < 0.95 else 5)
    rate = rate if rng.random() < 0.95 else pick(rng, (0, -1, 999, 400_001, np.nan, 44_100.0))
    options = _listening_options(rng)
    with described(f"{what}; {rate}; {options}"):
        check_scene(hear(recording, rate, **options), recording.shape[1] / rate)
    return what


def _listening_options(rng: Rng) -> dict[str, Any]:
    setup = pick(rng, SETUPS)
    spacing = pick(rng, (None, 0.2, 1.5, odd_number(rng))) if setup == "spaced" or rng.random() < 0.05 else None
    count = pick(rng, (None, None, 1, 3, 4)) if rng.random() < 0.95 else 0
    most = int(rng.integers(count or 1, 5)) if rng.random() < 0.95 else pick(rng, (0, 1, 9))  # too few, or too many
    return {"setup": setup, "spacing": spacing, "max_sources": most, "count": count}


def check_scene(scene: Any, seconds: float) -> None:
    """Every number of a scene is one, and within its range."""
    hold(np.isfinite(scene.confidence) and 0 <= scene.confidence <= 1, f"confidence {scene.confidence}")
    hold(np.isfinite(scene.spacing), f"spacing {scene.spacing}")
    for source in scene.sources:
        place = source.direction
        hold(-90 <= place.azimuth <= 90, f"azimuth {place.azimuth}")
        hold(0 <= place.spread <= 180, f"spread {place.spread}")
        hold(0 <= place.confidence <= 1, f"confidence {place.confidence}")
        hold(np.isfinite(source.level), f"level {source.level}")
        hold(np.isfinite(source.signal).all(), "NaN in a signal")
        hold(source.image is None or np.isfinite(source.image).all(), "NaN in an image")
        hold(all(np.isfinite(t) and -90 <= a <= 90 for t, a in source.path), f"path {source.path}")
        hold(all(0 <= a < b <= seconds + 0.05 for a, b in source.active), f"active {source.active} of {seconds} s")
    json.dumps([source.path for source in scene.sources])


def windows(rng: Rng, folder: Path) -> str:
    """The listener in windows, on blocks of any length."""
    from spatial.windows import listen_long

    recording, rate, what = odd_recording(rng, 0.5, most=2, poison=0.05)
    edges = np.sort(rng.integers(recording.shape[1] + 1, size=int(rng.integers(0, 6))))
    with described(f"{what}; cut at {edges}"):
        scene = listen_long(iter(np.split(recording, edges, axis=1)), rate, window=0.25, overlap=0.1)
        check_scene(scene, recording.shape[1] / rate)
    return what


def camera(rng: Rng, folder: Path) -> str:
    """Boxes of any sources."""
    from spatial.camera import Camera
    from spatial.scene import Direction, Source
    from spatial.shapes import Shape

    def number(scale: float) -> float:
        return float(rng.uniform(-scale, scale)) if rng.random() < 0.9 else odd_number(rng)

    sources = []
    for _ in range(int(rng.integers(0, 40) if rng.random() < 0.1 else rng.integers(0, 6))):
        path = tuple((number(5), number(90)) for _ in range(int(rng.integers(0, 4)) * int(rng.random() < 0.3)))
        direction = Direction(number(90), abs(number(90)))
        sources.append(Source(np.zeros(1, np.float32), direction, number(60), path))
    fov, time, shapes = (
        90.0 if rng.random() < 0.6 else odd_number(rng),
        pick(rng, (None, 1.0, odd_number(rng))),
        pick(rng, (None, [(rng.uniform(0.2, 5), rng.uniform()) for _ in sources], [(odd_number(rng), 0.5)])),
    )
    what = f"fov {fov}, time {time}, shapes {shapes}, {[(s.direction, s.level, s.path) for s in sources]}"
    with described(what):
        boxes = Camera(fov).boxes(sources, time, shapes=shapes and [Shape(*shape) for shape in shapes])
        hold(len(boxes) == len(sources), "not one box a source")
        for x0, y0, x1, y1 in boxes:
            hold(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1, f"box {(x0, y0, x1, y1)}")
        ordered = sorted(boxes)
        hold(all(one[2] <= other[0] for one, other in pairwise(ordered)), "boxes overlap")
    return what


def match(rng: Rng, folder: Path) -> str:
    """Any similarity."""
    from spatial.matching import match as pair

    shape = tuple(int(size) for size in rng.integers(0, 7, size=pick(rng, (2, 2, 2, 2, 2, 1, 3))))
    scale = pick(rng, (1.0, 1.0, 1e-320, 1e-30, 1e30, 1e308))
    scores = rng.uniform(-1, 1, size=shape)
    scores = (np.round(scores, 1) if rng.random() < 0.3 else scores) * scale
    if scores.size and rng.random() < 0.1:
        scores.ravel()[int(rng.integers(scores.size))] = odd_number(rng)
    threshold = pick(rng, (0.0, 0.3, odd_number(rng), scale, -scale))
    with described(f"{scores.tolist()}, threshold {threshold}"):
        found = pair(scores, threshold=threshold)
        sources = sorted(one.source for one in found if one.source is not None)
        tokens = sorted(one.token for one in found if one.token is not None)
        hold(sources == list(range(shape[0])) and tokens == list(range(shape[1])), "not each once")
        hold(all(np.isfinite(one.score) for one in found), "a score that is no number")
    return f"{shape} {scale} {threshold}"


def regions(rng: Rng, folder: Path) -> str:
    """Any box and any positions."""
    from guidance.regions import Region, map_shape

    edges = sorted(rng.uniform(size=2)) + sorted(rng.uniform(size=2))
    box: Any = (edges[0], edges[2], edges[1], edges[3])
    chance = rng.random()
    if chance < 0.2:
        box = tuple(pick(rng, (0, 1, 0.5, 0.5 + 1e-12, odd_number(rng))) for _ in range(4))
    elif chance < 0.3:
        box = pick(rng, ((), None, "abcd", (1, 2), ("a", 0, 1, 1), (0, 0, 1, None), 7, np.zeros((2, 2)), (0, 0, 1, 1j)))
    positions: Any = tuple(int(at) for at in rng.integers(0, 77, size=int(rng.integers(1, 4))))
    if rng.random() < 0.2:
        positions = pick(rng, ((), None, (np.nan,), (1.5,), ("x",), (-1,), 3, (np.inf,), (2**70,), [1, 1], (True,)))
    h, w = (int(size) for size in rng.integers(1, 70, size=2))
    with described(f"{box!r}, {positions!r}, {h} x {w}"):
        region = Region(box, positions)
        mask, cover = region.mask(h, w), region.cover(h, w)
        hold(tuple(mask.shape) == tuple(cover.shape) == (h, w), "a mask of another shape")
        hold(mask.sum() >= 1 and cover.sum() > 0, "an empty mask")
        hold(bool(mask.isfinite().all() and cover.isfinite().all() and cover.max() <= 1.0001), "no numbers in a mask")
        high, wide = map_shape(h * w, 2 ** rng.uniform(-2, 2))
        hold(high * wide == h * w, "another shape")
    return f"{box!r}"


def prompt(rng: Rng, folder: Path) -> str:
    """Any words, with sounds in them."""
    import torch

    from audiotoken.stereo.words import find_subject_words

    pieces = [pick(rng, WORDS if rng.random() < 0.7 else MORE_WORDS) for _ in range(int(rng.integers(0, 7)))]
    text = pick(rng, (" ", "", ", ")).join(pieces)
    sounds = text.count("<audio>") if rng.random() < 0.8 else int(rng.integers(0, 4))
    pipe = mini()
    with described(f"{text!r} and {sounds} sounds"):
        find_subject_words(text, ("dog", "cat"))
        given = torch.randn(sounds, 1, pipe.token_width, generator=torch.Generator().manual_seed(0)) if sounds else None
        for each in pipe.encode_prompts(text, given):
            hold(bool(each.embeddings.isfinite().all()), "NaN in a prompt")
            hold(all(0 < at < each.embeddings.shape[1] for sound in each.positions for at in sound), "a place outside")
    return repr(text)


@cache
def mini() -> Any:
    """The shipped model, loaded once."""
    from audiotoken.model import load_pipeline

    return load_pipeline("mini", "cpu")


def picture(rng: Rng, folder: Path) -> str:
    """A picture as training data."""
    from audiotoken.data.image_file import read_image

    content, what = picture_file(rng)
    if rng.random() < 0.7:
        content, how = spoilt(rng, content)
        what = f"{how}; {what}"
    path = folder / f"{pick(rng, NAMES)}.png"
    path.write_bytes(content)
    with described(what):
        hold(read_image(path).mode == "RGB", "not RGB")
    return what


def weights(rng: Rng, folder: Path) -> str:
    """A weight file of others."""
    import io
    import pickle

    import torch
    from safetensors.torch import save

    from audiotoken.assembly.parts import load_embedder
    from audiotoken.checkpoint import read_checkpoint

    file = io.BytesIO()
    tensors = {"mlp.0.weight": torch.zeros(4, 3), "step": torch.ones(())}
    torch.save(tensors | ({"odd": Path("a")} if rng.random() < 0.2 else {}), file)
    content, what = pick(
        rng,
        (
            (file.getvalue(), "torch"),
            (save(tensors), "safetensors"),
            (pickle.dumps({"a": print}), "pickled code"),
            (rng.bytes(300), "random bytes"),
            (zip_bomb(rng), "zip bomb") if rng.random() < 0.1 else (file.getvalue(), "torch"),
        ),
    )
    if rng.random() < 0.6:
        content, how = spoilt(rng, content)
        what = f"{how}; {what}"
    path = folder / f"{pick(rng, NAMES)}.{pick(rng, ('pth', 'bin', 'safetensors', 'pt'))}"
    path.write_bytes(content)
    with described(f"{what}; {path.suffix}"):
        if rng.random() < 0.5:
            load_embedder(path)
        else:
            read_checkpoint(path, "weights")
    return what


def model(rng: Rng, folder: Path) -> str:
    """The shipped model with one file spoilt, or one number of one part changed."""
    from importlib.resources import files

    from audiotoken.pipeline import AudioTokenPipeline

    whole, copy = Path(str(files("audiotoken.mini"))), folder / "model"
    for path in (path for path in whole.rglob("*") if path.is_file()):
        (copy / path.relative_to(whole)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(whole)).symlink_to(path)
    kinds = ("model_index.json", "*/config.json", "*/*.json", "*/*.safetensors")
    victim = pick(rng, sorted(copy.glob(pick(rng, kinds))))
    content = victim.read_bytes()
    victim.unlink()
    if victim.suffix == ".json" and rng.random() < 0.7:
        content, how = _other_number(rng, json.loads(content))
    else:
        content, how = spoilt(rng, content)
    what = f"{victim.relative_to(copy)}: {how}"
    if rng.random() < 0.9:
        victim.write_bytes(content)
    with described(what):
        pipe = AudioTokenPipeline.from_pretrained(copy)
        hold(pipe.token_width > 0, "no width")
    return what


def _other_number(rng: Rng, content: Any) -> tuple[bytes, str]:
    """JSON with one of its values changed."""
    if isinstance(content, dict) and content:
        key = pick(rng, sorted(content))
        value = pick(rng, (0, -1, 7, 1e9, "", "nonsense", None, [], {}, [1, 2], True, 2**40, "../../etc", 1.5))
        content, how = content | {key: value}, f"{key} = {value!r}"
    else:
        content, how = pick(rng, ([], {}, 7, "x", None)), "other JSON"
    return json.dumps(content).encode(), how


def command(rng: Rng, folder: Path) -> str:
    """`audiotoken listen`, with options as people type them."""
    clip, what = any_file(rng, folder)
    arguments = ["listen", *_listen_arguments(rng, folder), "--", str(clip)]
    return _run(arguments, what, folder, keep={clip.name})


def _listen_arguments(rng: Rng, folder: Path) -> list[str]:
    chosen = ["--no-labels"] if rng.random() < 0.95 else []
    for option, values in (
        ("--setup", SETUPS),
        ("--spacing", ("0.2", "nan", "-1", "1e9", "x")),
        ("--max-sources", ("1", "4", "0", "99", "-1")),
        ("--count", ("1", "3", "0", "x")),
        ("--json", ("out.json", "-", "out.txt", "a/b/out.json", "")),
        ("--plot", ("out.png", "out", "out.gif", "ü/o.jpg", "\0.png")),
        ("--stems", ("stems", "a b/ü", "/dev/null/x")),
    ):
        if rng.random() < 0.15:
            value = str(pick(rng, values))
            place = option in ("--json", "--plot", "--stems") and value not in ("-", "") and value[0] != "/"
            chosen += [option, str(folder / "out" / value) if place else value]
    return chosen


def drawing(rng: Rng, folder: Path) -> str:
    """`audiotoken generate`, `place` and `animate`: one step of the shipped model."""
    recording, rate, what = odd_recording(rng, 1.0, most=4, poison=0.03)
    clip = folder / "clip.wav"
    import soundfile

    soundfile.write(clip, recording.T, rate, subtype="FLOAT")
    name, suffix = pick(rng, (("generate", "png"), ("place", "png"), ("place", "webp"), ("animate", "gif")))
    arguments = [name, str(clip), "-o", str(folder / "out" / f"p.{suffix}"), "--steps", "1", "--seed", "3"]
    arguments += ["--frames", "2"] if name == "animate" else []
    if rng.random() < 0.3:
        arguments += ["--prompt", pick(rng, (*WORDS, *MORE_WORDS[:-1]))]
    if rng.random() < 0.15:
        arguments += pick(rng, (["--guidance", "nan"], ["--guidance", "100"], ["--negative-prompt", "<audio>"]))
    return _run(arguments, f"{name}; {what}", folder, keep={"clip.wav"})


def _run(arguments: list[str], what: str, folder: Path, keep: set[str]) -> str:
    """In this process; a refusal is raised again as one, so that it is counted."""
    from typer.testing import CliRunner

    from audiotoken.cli.app import app
    from audiotoken.errors import OptionError

    with described(f"{what}; {arguments}"):
        result = CliRunner().invoke(app, arguments)
        if result.exit_code not in (0, 2) and result.exception is not None:
            raise result.exception
        _check_files(folder, keep)
        if result.exit_code == 2:
            usage = "Usage:" in result.stderr
            raise OptionError(" ".join(result.stderr.split()) + "." if usage else result.stderr.strip())
        hold(result.stdout.strip() and "nan" not in result.stdout.lower().split(), result.stdout)
    return f"{what}; {arguments}"


def _check_files(folder: Path, keep: set[str]) -> None:
    """What was written is whole, and nothing else lies about."""
    import soundfile
    from PIL import Image

    for path in folder.rglob("*"):
        if (path.name in keep and path.parent == folder) or path.is_dir():
            continue
        hold(not path.name.startswith("."), f"left behind: {path.name}")
        if path.suffix == ".json":
            hold("NaN" not in path.read_text() and json.loads(path.read_text()), "JSON with NaN")
        elif path.suffix == ".wav":
            hold(np.isfinite(soundfile.read(path)[0]).all(), "NaN in a WAV")
        else:
            with Image.open(path) as image:
                image.load()


# of a thousand inputs so many; what takes seconds is rare
CASES: dict[str, tuple[Case, int]] = {
    "read": (read, 440),
    "array": (array, 140),
    "camera": (camera, 90),
    "match": (match, 80),
    "regions": (regions, 80),
    "picture": (picture, 40),
    "prompt": (prompt, 40),
    "weights": (weights, 35),
    "listen": (listen, 30),
    "windows": (windows, 4),
    "command": (command, 12),
    "model": (model, 6),
    "drawing": (drawing, 3),
}
