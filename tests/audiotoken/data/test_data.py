"""Folders as sources: what is paired, in which order, under which names; pictures and signals fitted undistorted."""

import io
import struct

import numpy as np
import pytest
import soundfile
from data_files import picture_bytes, sound_bytes, write_pair
from PIL import Image

from audiotoken.data.folders import EscFolder, PairFolder, fit_image, fit_signal, make_safe_keys, read_esc_rows
from audiotoken.data.image_file import as_rgb, decode_image, read_image
from audiotoken.errors import AudioError, DataError


def rgb(tensor) -> np.ndarray:
    """(3, h, w) in [-1, 1] -> (h, w, 3) of 0 to 255."""
    return ((tensor.permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(int)


def ramp(width: int, height: int) -> Image.Image:
    """Red counts the columns, green the rows."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(width)[None], np.arange(height)[:, None]
    return Image.fromarray(pixels)


@pytest.mark.parametrize(("width", "height"), [(120, 40), (40, 120)])
def test_the_middle_square_undistorted(width, height):
    fitted = fit_image(ramp(width, height), 40)
    assert fitted.shape == (3, 40, 40)
    assert str(fitted.dtype) == "torch.float32"
    left, top = (40, 0) if width > height else (0, 40)
    np.testing.assert_array_equal(rgb(fitted)[..., 0], np.broadcast_to(left + np.arange(40), (40, 40)))
    np.testing.assert_array_equal(rgb(fitted)[..., 1], np.broadcast_to(top + np.arange(40)[:, None], (40, 40)))


def test_a_circle_stays_a_circle():
    y, x = np.mgrid[:60, :150]
    disc = ((x - 70) ** 2 + (y - 30) ** 2 < 20**2).astype(np.uint8) * 255  # not in the middle
    fitted = rgb(fit_image(Image.fromarray(disc), 90))[..., 0] > 127  # 1.5 times as large
    rows, columns = fitted.any(1).nonzero()[0], fitted.any(0).nonzero()[0]
    assert abs(len(rows) - 59) <= 2
    assert abs(len(columns) - 59) <= 2
    assert abs(columns.mean() - (70 - 45 + 0.5) * 1.5) < 1  # the middle square begins at column 45


def test_a_random_square_moves_along_the_long_side_only():
    lefts = []
    for seed in range(20):
        fitted = rgb(fit_image(ramp(120, 40), 40, np.random.default_rng(seed)))
        lefts.append(int(fitted[20, 2, 0]) - 2)
        np.testing.assert_allclose(fitted[:, 20, 1], np.arange(40), atol=1)
    assert min(lefts) < 15 < 65 < max(lefts)
    again = fit_image(ramp(120, 40), 40, np.random.default_rng(3))
    assert (again == fit_image(ramp(120, 40), 40, np.random.default_rng(3))).all()


def test_antialiased():
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (400, 200)))
    assert abs(rgb(fit_image(stripes, 25)) - 127).max() < 12  # not black or white, as picking pixels would give


def test_a_very_long_picture():
    assert fit_image(Image.new("RGB", (30_000, 2), "red"), 16)[:, 3, 3].tolist() == [1, -1, -1]


def test_turned_as_its_exif_says(tmp_path):
    image = Image.new("RGB", (40, 20), "blue")
    image.paste("red", (0, 0, 20, 20))  # the left half
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise by 90 degrees: left goes to the top
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright = read_image(tmp_path / "a.jpg")
    assert upright.size == (20, 40)
    assert upright.getpixel((10, 5))[0] > 200 > 50 > upright.getpixel((10, 35))[0]
    with Image.open(tmp_path / "a.jpg") as raw:
        assert rgb(fit_image(raw, 20))[2, 10, 0] > 200  # a raw one is turned when it is fitted


def test_damaged_exif_is_no_exif(tmp_path):
    data = picture_bytes(kind="JPEG")
    bad = b"Exif\0\0II*\0" + b"\xff" * 20
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(bad) + 2) + bad + data[2:])
    assert read_image(tmp_path / "a.jpg").size == (12, 8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK", "I;16", "I", "F", "YCbCr", "RGB", "PA"])
def test_all_modes_become_rgb(mode):
    if mode in ("I;16", "I"):
        image = Image.fromarray(np.full((8, 8), 0.75 * 65535, np.uint16 if mode == "I;16" else np.int32))
        want = (191,) * 3
    elif mode == "F":
        image, want = Image.fromarray(np.full((8, 8), 0.75, np.float32)), (191,) * 3
    elif mode == "1":
        image, want = Image.new("1", (8, 8), 1), (255,) * 3
    elif mode in ("L", "LA"):
        image, want = Image.new("L", (8, 8), 191).convert(mode), (191,) * 3
    else:
        image, want = Image.new("RGB", (8, 8), (200, 40, 90)).convert(mode if mode != "PA" else "P"), (200, 40, 90)
        image = image.convert(mode)
    assert image.mode == mode
    got = as_rgb(image)
    assert got.mode == "RGB"
    np.testing.assert_allclose(got.getpixel((4, 4)), want, atol=26 if mode in ("P", "PA") else 3)


@pytest.mark.parametrize("kind", ["rgba", "palette", "key colour"])
def test_transparent_is_white(tmp_path, kind):
    image = Image.new("RGBA", (8, 8), (10, 20, 30, 0))
    image.paste((200, 0, 0, 255), (0, 0, 4, 8))
    if kind == "palette":
        image = image.quantize(4)
    options = {"transparency": (10, 20, 30)} if kind == "key colour" else {}
    (image.convert("RGB") if options else image).save(tmp_path / "a.png", **options)
    got = read_image(tmp_path / "a.png")
    assert got.getpixel((6, 4)) == (255, 255, 255)
    assert got.getpixel((1, 4)) == (200, 0, 0)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"a\.jpg: the file is empty"),
        (b"no picture at all", r"a\.jpg: it is damaged.* not a picture"),
        (picture_bytes(size=(200, 200), kind="JPEG")[:500], r"a\.jpg: it is damaged, truncated"),
        (picture_bytes(size=(200, 200))[:60], "truncated"),
        (
            picture_bytes(kind="GIF"),
            r"a\.jpg: its format is GIF, expected a JPEG, .* to MP4",
        ),  # its decoder is not wanted
        (picture_bytes(kind="BMP"), "its format is BMP"),
        (picture_bytes(kind="TIFF"), "its format is TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "its format is HEIC"),
    ],
)
def test_broken_pictures(tmp_path, content, match):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_image(tmp_path / "a.jpg")


def test_no_picture_and_too_large_a_one(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.png: there is no such file"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(DataError, match="folder"):
        read_image(tmp_path)
    header = bytearray(picture_bytes())
    header[16:24] = struct.pack(">II", 11_000, 11_000)  # IHDR; the checksum is wrong too, but the size is seen first
    header[29:33] = struct.pack(">I", __import__("zlib").crc32(bytes(header[12:29])))
    with pytest.raises(DataError, match=r"11000 x 11000 pixels"):
        decode_image(io.BytesIO(bytes(header)))


def test_signals():
    signal = np.arange(10, dtype=np.float32)
    assert fit_signal(signal, 4).tolist() == [3, 4, 5, 6]
    assert fit_signal(signal[:3], 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert fit_signal(signal, 10).tolist() == signal.tolist()
    starts = {int(fit_signal(signal, 4, np.random.default_rng(s))[0]) for s in range(60)}
    assert starts == set(range(7))
    with pytest.raises(DataError, match="expected \\(frames,\\)"):
        fit_signal(np.zeros(0, np.float32), 4)
    with pytest.raises(DataError, match="one channel"):
        fit_signal(np.zeros((2, 9), np.float32), 4)


def test_pairs_and_their_labels(tmp_path):
    write_pair(tmp_path, "top", "lime", sound=".flac", picture=".webp")
    write_pair(tmp_path / "dog", "b", "blue")
    write_pair(tmp_path / "dog", "a", "red", picture=".JPG")
    write_pair(tmp_path / "Käse Glocke", "ключ 鍵", "white", picture=".jpeg")
    write_pair(tmp_path / ".cache", "a")
    (tmp_path / "dog" / "._a.wav").write_bytes(b"what macOS leaves")
    (tmp_path / "dog" / "alone.wav").write_bytes(sound_bytes())
    (tmp_path / "rain.png").write_bytes(picture_bytes())
    source = PairFolder(tmp_path)
    assert len(source) == 4
    assert [source.label(i) for i in range(4)] == ["Käse Glocke", "dog", "dog", ""]
    assert [source.key(i) for i in range(1, 4)] == ["dog--a", "dog--b", "top"]
    assert source.key(0).startswith("Käse_Glocke--ключ_鍵-")
    assert source.missing == ("dog/alone.wav", "rain.png")
    example = source[2]
    assert (example.key, example.label, example.rate) == ("dog--b", "dog", 8000)
    assert example.recording.shape == (2, 2000)
    assert example.recording.dtype == np.float32
    assert example.recording[0].max() > 1.8 * example.recording[1].max()  # stereo, left first
    assert (example.image.mode, example.image.size) == ("RGB", (12, 8))
    assert example.image.getpixel((0, 0)) == (0, 0, 255)
    assert source[0].image.getpixel((5, 5)) == (255, 255, 255)


def test_duplicate_stems_and_empty_folders(tmp_path):
    with pytest.raises(DataError, match="no pair in"):
        PairFolder(tmp_path)
    with pytest.raises(DataError, match="no folder"):
        PairFolder(tmp_path / "nothing")
    write_pair(tmp_path, "a")
    (tmp_path / "a.ogg").write_bytes(sound_bytes())
    with pytest.raises(DataError, match=r"a\.ogg and a\.wav"):
        PairFolder(tmp_path)


def test_a_broken_half_is_named_when_it_is_read(tmp_path):
    for stem in ("a", "b", "c"):
        write_pair(tmp_path, stem)
    (tmp_path / "a.wav").write_bytes(sound_bytes()[:-100])
    (tmp_path / "b.png").write_bytes(picture_bytes()[:-30])
    source = PairFolder(tmp_path)
    with pytest.raises(AudioError, match=r"a\.wav: it is truncated"):
        source[0]
    with pytest.raises(DataError, match=r"b\.png: it is damaged"):
        source[1]
    assert source[2].key == "c"


def test_keys_are_unique_and_safe():
    names = [
        "a",
        "A",
        "a/b",
        "a--b",
        "a b",
        "a_b",
        "é",
        "e\u0301",
        "../../etc/passwd",
        ".hidden",
        "",
        "z" * 300,
        "\udcff",
    ]
    keys = make_safe_keys(names)
    assert keys[0] == "a"
    assert len({key.casefold() for key in keys}) == len(names)
    assert all(key and "/" not in key and not key.startswith(".") and len(key.encode()) < 120 for key in keys)
    assert keys == make_safe_keys(names)


def esc(folder, clips_per_class=3, published=True):
    """A small ESC: classes dog and engine (not of ESC-10); clip n is in fold n % 5 + 1; 3 pictures a class."""
    rows = []
    for target, label in enumerate(("dog", "engine_idling")):
        for n in range(clips_per_class):
            name = f"{n % 5 + 1}-{100 + n}-A-{target}.wav"
            place = folder / "esc" / ("audio" if published else label)
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(sound_bytes(300 + 100 * n))
            row = [name, n % 5 + 1, target, label, label == "dog", 100 + n, "A"]
            rows.append(row if published else [f"{label}/{name}", label, n % 5 + 1, "a, b"])
        pictures = folder / "pictures" / label.replace("_", " ").title()
        pictures.mkdir(parents=True)
        for n in range(3):
            (pictures / f"{n}.png").write_bytes(picture_bytes(size=(10 + n, 8 + target)))
    table = folder / "esc" / ("meta/esc50.csv" if published else "metadata.csv")
    table.parent.mkdir(exist_ok=True)
    head = "filename,fold,target,category,esc10,src_file,take" if published else "path,label,fold,title"
    lines = [",".join(f'"{cell}"' if "," in str(cell) else str(cell) for cell in row) for row in rows]
    table.write_text("\n".join([head, *lines]) + "\n")
    return folder / "esc", folder / "pictures"


@pytest.mark.parametrize("published", [True, False])
def test_esc(tmp_path, published):
    audio, pictures = esc(tmp_path, published=published)
    source = EscFolder(audio, pictures)
    assert len(source) == 6
    assert [source.label(i) for i in range(6)] == (
        ["dog", "engine_idling"] * 3 if published else ["dog"] * 3 + ["engine_idling"] * 3
    )
    clip = next(i for i in range(6) if source.label(i) == "engine_idling" and "102" in source.key(i))
    example = source[clip]
    assert example.key == "engine_idling--3-102-A-1"
    assert example.recording.shape == (2, 2000)
    assert example.image.height == 9  # a picture of its class
    assert len(EscFolder(audio, pictures, esc10_only=True)) == 3
    assert {r[2] for r in read_esc_rows(audio, [2, 3])} == {2, 3}


def test_esc_in_published_order(tmp_path):
    audio, _ = esc(tmp_path)
    rows = read_esc_rows(audio)
    assert [row[1] for row in rows] == ["dog"] * 3 + ["engine_idling"] * 3
    assert rows[1] == (audio / "audio" / "2-101-A-0.wav", "dog", 2)


def test_pictures_are_shared_out_the_same_whatever_the_folds(tmp_path):
    audio, pictures = esc(tmp_path, clips_per_class=10)
    whole, part = EscFolder(audio, pictures), EscFolder(audio, pictures, folds=[2, 4])
    widths = {whole.key(i): whole[i].image.width for i in range(len(whole))}
    assert len(part) == 8
    assert all(part[i].image.width == widths[part.key(i)] for i in range(len(part)))
    for label in ("dog", "engine_idling"):  # ten clips, three pictures: each as often as the others, but for one
        counts = [sum(w == 10 + n for key, w in widths.items() if key.startswith(label)) for n in range(3)]
        assert sorted(counts) == [3, 3, 4]
    seeds = [[EscFolder(audio, pictures, seed=s)[i].image.width for i in range(4)] for s in range(6)]
    assert len(set(map(tuple, seeds))) > 1


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ("path,label\na.wav,dog\n", r"metadata\.csv: it has no column fold"),
        ("path,label,fold\na.wav,dog,x\n", "line 2"),
        ("path,label,fold\na.wav,,1\n", "line 2"),
        ("path,label,fold\na.wav,dog,1\nb.wav,dog\n", "line 3 .* too short"),
        ("path,label,fold\n../../a.wav,dog,1\n", "line 2"),
        ("path,label,fold\n/etc/a.wav,dog,1\n", "line 2"),
        (b"path,label,fold\n\xff\xfe,dog,1\n", "UTF-8"),
        (None, "neither metadata.csv nor meta/esc50.csv"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, table, match):
    if table is not None:
        (tmp_path / "metadata.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(DataError, match=match):
        read_esc_rows(tmp_path)


def test_esc_without_what_it_needs(tmp_path):
    audio, pictures = esc(tmp_path)
    with pytest.raises(DataError, match="no clip of folds \\[9\\]"):
        EscFolder(audio, pictures, folds=[9])
    for file in (pictures / "Engine Idling").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="no picture of engine_idling"):
        EscFolder(audio, pictures)
    assert len(EscFolder(audio, pictures, esc10_only=True)) == 3  # that class is not asked for
    with pytest.raises(DataError, match="no folder"):
        EscFolder(audio, tmp_path / "nothing")


def test_the_real_esc10(esc10):
    rows = read_esc_rows(esc10)
    assert len(rows) == 318
    assert {fold for _, _, fold in rows} == {1, 2, 3, 4}
    assert sum(map(len, (read_esc_rows(esc10, [fold]) for fold in range(1, 5)))) == 318
    assert rows[0][0].is_file()


def test_a_data_error_is_a_sentence_on_the_command_line():
    from audiotoken.tasks.sentences import errors_as_sentences

    with pytest.raises(SystemExit), errors_as_sentences():
        raise DataError("Found nothing, expected something; look again.")


def test_made_sounds_are_stereo(tmp_path):  # the tests above lean on it
    (tmp_path / "a.wav").write_bytes(sound_bytes())
    assert soundfile.info(tmp_path / "a.wav").channels == 2
