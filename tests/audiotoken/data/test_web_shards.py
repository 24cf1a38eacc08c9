"""Tar shards: what is grouped, read in place, told when it is damaged, and fetched when it is elsewhere."""

import http.server
import io
import json
import os
import pickle
import tarfile
import threading
from functools import partial

import pytest
from data_files import picture_bytes, second_of, sound_bytes, write_tar, write_video

from audiotoken.data.tar_index import split_name
from audiotoken.data.web_shards import WebShards, expand_shards
from audiotoken.errors import AudioError, DataError

COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def sample(name, colour="red", label=None, hertz=440.0):
    members = {f"{name}.wav": sound_bytes(hertz), f"{name}.png": picture_bytes(colour)}
    return members | ({} if label is None else {f"{name}.cls": label.encode()})


def colour(example):
    return next(name for name, rgb in COLOURS.items() if example.image.getpixel((3, 3)) == rgb)


def test_samples_in_order_with_labels_of_each_kind(tmp_path):
    first = sample("b", "red", "dog") | sample("sub.dir/a", "lime")
    first |= {"sub.dir/a.json": b'{"label": "rain", "licence": "CC0"}'}
    second = sample("ключ", "blue") | {"ключ.txt": "Glocke läuten\n".encode()} | sample("no-label", "white")
    write_tar(tmp_path / "shard-000000.tar", first)
    write_tar(tmp_path / "shard-000001.tar", second)
    source = WebShards(tmp_path / "shard-{000000..000001}.tar")
    assert source.broken == ()
    assert [source.label(i) for i in range(len(source))] == ["dog", "rain", "Glocke läuten", ""]
    assert [source.key(i) for i in range(4)] == ["b", "sub.dir--a", "ключ", "no-label"]
    assert [colour(source[i]) for i in (3, 1, 0, 2)] == ["white", "lime", "red", "blue"]
    example = source[1]
    assert (example.key, example.label, example.rate, example.recording.shape) == (
        "sub.dir--a",
        "rain",
        8000,
        (2, 2000),
    )
    assert example.recording[0].max() > 1.8 * example.recording[1].max()


def test_classes_by_number(tmp_path):
    write_tar(tmp_path / "a.tar", sample("x", label="1") | sample("y", label="0") | {"y.json": b'{"label": 2}'})
    assert [WebShards(tmp_path / "a.tar").label(i) for i in (0, 1)] == ["1", "2"]
    named = WebShards(tmp_path / "a.tar", names=("dog", "rain", "bell"))
    assert [named.label(i) for i in (0, 1)] == ["rain", "bell"]
    with pytest.raises(DataError, match=r"class 2 for .*a\.tar: y, expected 0 to 1"):
        WebShards(tmp_path / "a.tar", names=("dog", "rain"))


def test_videos_in_shards(tmp_path):
    video = write_video(tmp_path / "v.mp4", 3).read_bytes()
    members = {"v.mp4": video, "p.mp4": video, "p.png": picture_bytes("blue"), "s.mp4": video, "s.wav": sound_bytes()}
    source = WebShards(write_tar(tmp_path / "a.tar", members))
    whole, picture, sound = source[0], source[1], source[2]
    assert second_of(whole.image) == second_of(sound.image) == 1
    assert (whole.rate, picture.rate, sound.rate) == (16_000, 16_000, 8000)
    assert whole.recording.shape[0] == 2
    assert colour(picture) == "blue"


@pytest.mark.parametrize("where", ["data", "header", "end mark", "garbage"])
def test_what_stands_before_a_damage_is_used(tmp_path, where):
    path = write_tar(tmp_path / "a.tar", sample("a", "red") | sample("b", "lime") | sample("c", "blue"))
    with tarfile.open(path) as tar:
        cut = tar.getmember("c.wav")
    content = bytearray(path.read_bytes())
    if where == "data":
        content = content[: cut.offset_data + 100]
    elif where == "header":
        content = content[: cut.offset + 200]
    elif where == "end mark":
        content = content[: cut.offset]
    else:
        content[cut.offset : cut.offset + 512] = os.urandom(512)
    path.write_bytes(content)
    write_tar(tmp_path / "b.tar", sample("d", "white"))
    source = WebShards(tmp_path / "*.tar")
    assert [source.key(i) for i in range(len(source))] == ["a", "b", "d"]
    assert [colour(source[i]) for i in range(3)] == ["red", "lime", "white"]
    ((name, why),) = source.broken
    assert "a.tar" in name
    if where == "data":
        assert name.endswith("a.tar: c.wav")
        assert "cut off" in why
    else:
        assert "after b.png" in why


def test_what_is_no_shard_is_reported(tmp_path):
    write_tar(tmp_path / "good.tar", sample("a"))
    (tmp_path / "text.tar").write_bytes(b"404 not found\n" * 100)
    (tmp_path / "empty.tar").write_bytes(b"")
    with tarfile.open(tmp_path / "packed.tar", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.wav"))
    (tmp_path / "packed.tar.gz").write_bytes((tmp_path / "packed.tar").read_bytes())
    source = WebShards([tmp_path, tmp_path / "gone.tar"])
    assert len(source) == 1
    names = ["empty.tar", "packed.tar", "packed.tar.gz", "text.tar", "gone.tar"]
    assert [os.path.basename(name) for name, _ in source.broken] == names
    assert "empty" in source.broken[0][1]
    assert "compressed" in source.broken[1][1] and "compressed" in source.broken[2][1]
    assert "no such file" in source.broken[4][1]
    with pytest.raises(DataError, match=r"no sample in 1 shards.*text\.tar"):
        WebShards(tmp_path / "text.tar")


def test_incomplete_double_and_unreadable_samples(tmp_path):
    members = sample("good") | {
        "mute.png": picture_bytes(),
        "blind.wav": sound_bytes(),
        "odd.json": b"{",
        "odd.xyz": b"",
    }
    members |= sample("bad-label") | {"bad-label.json": b'{"label": ['} | sample("cut")
    members["cut.wav"] = members["cut.wav"][:-50]
    members |= sample("spoilt") | {"spoilt.png": b"not a picture"}
    path = write_tar(tmp_path / "a.tar", members)
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo("good.png")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"two"))
    source = WebShards(path)
    assert [source.key(i) for i in range(len(source))] == ["good", "bad-label", "cut", "spoilt"]
    told = {name.rpartition(": ")[2]: why for name, why in source.broken}
    assert told.keys() == {"mute", "blind", "odd", "bad-label", "good.png"}
    assert "no sound" in told["mute"]
    assert "no picture" in told["blind"]
    assert "twice" in told["good.png"]
    assert source.label(1) == ""
    assert colour(source[0]) == "red"  # the first of the two
    with pytest.raises(AudioError, match=r"^Cannot read .*a\.tar: cut: it is truncated"):
        source[2]
    with pytest.raises(DataError, match=r"a\.tar: spoilt: it is damaged"):
        source[3]


def test_names_in_archives_are_no_paths(tmp_path):
    outside = tmp_path / "secret.wav"
    outside.write_bytes(sound_bytes())
    path = tmp_path / "shards" / "a.tar"
    path.parent.mkdir()
    write_tar(path, sample("../../escape", "lime") | {"link.png": picture_bytes(), ".hid.wav": b"", "._x.png": b""})
    with tarfile.open(path, "a") as tar:
        for kind, name in ((tarfile.SYMTYPE, "link.wav"), (tarfile.LNKTYPE, "hard.wav"), (tarfile.CHRTYPE, "dev.wav")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(outside)
            tar.addfile(info)
    before = sorted(tmp_path.rglob("*"))
    source = WebShards(path)
    assert len(source) == 1
    assert "/" not in source.key(0)
    assert not source.key(0).startswith(".")
    assert colour(source[0]) == "lime"
    assert [name.rpartition(": ")[2] for name, _ in source.broken] == ["link"]  # its sound is a link, which is no sound
    assert sorted(tmp_path.rglob("*")) == before


def test_the_same_name_in_two_shards(tmp_path):
    for shard, tint in (("p", "red"), ("q", "blue")):
        write_tar(tmp_path / f"{shard}.tar", sample("0001", tint) | sample(f"own-{shard}", "lime"))
    source = WebShards([tmp_path / "p.tar", tmp_path / "q.tar"])
    assert [source.key(i) for i in range(4)] == ["p--0001", "own-p", "q--0001", "own-q"]
    assert [colour(source[i]) for i in range(4)] == ["red", "lime", "blue", "lime"]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("stem", ["./a", "d" * 60 + "/" + "x" * 90, "é" * 30])
def test_tar_files_of_any_maker(tmp_path, form, stem):
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
        for suffix, content in ((".WAV", sound_bytes()), (".png", picture_bytes("lime"))):
            info = tarfile.TarInfo(stem + suffix)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    source = WebShards(tmp_path / "a.tar")
    assert source.broken == ()
    assert source.key(0)[:1] == stem.removeprefix("./")[:1]
    assert colour(source[0]) == "lime"


def test_patterns(tmp_path):
    assert expand_shards("s-{008..011}.tar") == ["s-008.tar", "s-009.tar", "s-010.tar", "s-011.tar"]
    assert expand_shards("http://h/{train,test}-{0..1}.tar") == [
        f"http://h/{s}-{n}.tar" for s in ("train", "test") for n in "01"
    ]
    (tmp_path / "a{1..2}[x].tar").write_bytes(b"")
    assert expand_shards(tmp_path / "a{1..2}[x].tar") == [str(tmp_path / "a{1..2}[x].tar")]  # it is its name
    for wrong, match in (
        ("s-{3..1}.tar", "range"),
        ("s-{0..999999999}.tar", "range"),
        ("pipe:cat a.tar", "no command"),
        ("s3://bucket/a.tar", r"an http\(s\):// address"),
        (str(tmp_path / "*.nothing"), "0 shards"),
    ):
        with pytest.raises(DataError, match=match):
            expand_shards(wrong)


def test_names_are_split_at_the_first_dot():
    assert split_name("dir.v1/Clip.left.WAV") == ("dir.v1/Clip", ".left.wav")
    assert split_name("a.wav") == split_name("./a.wav") == ("a", ".wav")
    assert split_name("dir/.hidden.wav") == ("dir/.hidden.wav", "")


def test_a_kept_index_is_used_while_the_shard_is_the_same(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar", sample("a", label="dog") | sample("b", label="rain"))
    first = WebShards(path, index=tmp_path / "index")
    (kept,) = (tmp_path / "index").iterdir()
    assert json.loads(kept.read_text())["labels"] == {"a": "dog", "b": "rain"}
    reads = []
    real = __import__("audiotoken.data.tar_index", fromlist=["read_index"]).read_index
    monkeypatch.setattr("audiotoken.data.tar_index.read_index", lambda *args: reads.append(args) or real(*args))
    again = WebShards(path, index=tmp_path / "index")
    assert not reads
    assert [again.label(i) for i in range(2)] == [first.label(i) for i in range(2)] == ["dog", "rain"]
    assert again[1].image.size == (12, 8)
    kept.write_text(kept.read_text()[:-5])  # damaged
    assert len(WebShards(path, index=tmp_path / "index")) == 2
    assert len(reads) == 1
    write_tar(path, sample("a", label="dog") | sample("b", label="rain") | sample("c", label="bell"))
    assert WebShards(path, index=tmp_path / "index").label(2) == "bell"
    assert len(reads) == 2
    with pytest.raises(DataError, match=r"a\.tar: b: the shard has changed"):
        first[1]
    path.unlink()
    assert "no such file" in _refusal(lambda: WebShards(path, index=tmp_path / "index"))


def _refusal(call):
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


class Server(http.server.SimpleHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012
    cut: set[str] = set()  # noqa: RUF012

    def do_GET(self):
        self.asked.append(self.path)
        if self.path in self.cut:
            self.cut.remove(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"only this")
            return
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder behind an address of this machine."""
    monkeypatch.setattr("audiotoken.data.remote.WAITS", (0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Server.asked, Server.cut = [], set()
    folder = tmp_path / "served"
    folder.mkdir()
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=folder))
    thread = threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()
    thread.join()


def test_shards_elsewhere_come_one_by_one_and_go(tmp_path, server):
    folder, address = server
    for n in range(4):
        write_tar(folder / f"s-{n}.tar", sample(f"{n}a", "red", f"class {n}") | sample(f"{n}b", "blue"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    source = WebShards(f"{address}/s-{{0..3}}.tar", temporary=temporary, index=tmp_path / "index")
    assert len(source) == 8
    assert [source.label(2 * n) for n in range(4)] == [f"class {n}" for n in range(4)]
    Server.asked.clear()
    source = WebShards(f"{address}/s-{{0..3}}.tar", temporary=temporary, index=tmp_path / "index")
    assert Server.asked == []  # all in the index
    for i in range(8):
        assert colour(source[i]) == ("red", "blue")[i % 2]
        assert len(list(temporary.rglob("*.tar"))) <= 2 + 2  # two of each of the sources
    assert Server.asked == [f"/s-{n}.tar" for n in range(4)]  # each once
    assert colour(source[4]) == "red"
    assert len(Server.asked) == 4  # still there
    assert colour(source[0]) == "red"
    assert len(Server.asked) == 5
    write_tar(folder / "s-1.tar", sample("other") | sample("and another") | sample("third"))
    with pytest.raises(DataError, match=r"127\.0\.0\.1:\d+/s-1\.tar: 1a: the shard has changed"):
        source[2]
    del source
    assert list(temporary.rglob("*")) == []


def test_shards_that_do_not_come(tmp_path, server):
    folder, address = server
    write_tar(folder / "a.tar", sample("a"))
    Server.cut = {"/a.tar"}
    source = WebShards([f"{address}/a.tar?key=SECRET", f"{address}/gone.tar?key=SECRET"])
    assert len(source) == 1
    ((name, why),) = source.broken
    assert name.endswith("/gone.tar")
    assert "404" in why
    assert Server.asked.count("/gone.tar?key=SECRET") == 1  # asking again does not help
    assert "SECRET" not in name + why
    Server.cut = {"/a.tar"}
    Server.asked.clear()
    assert len(WebShards(f"{address}/a.tar")) == 1
    assert len(Server.asked) == 2  # it broke off, and came the second time


def test_each_process_fetches_for_itself(tmp_path, server):
    folder, address = server
    write_tar(folder / "a.tar", sample("a", "lime"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    source = WebShards(f"{address}/a.tar", temporary=temporary)
    sent = pickle.loads(pickle.dumps(source))  # as a worker gets it
    assert colour(sent[0]) == "lime"
    assert len(list(temporary.rglob("*.tar"))) == 2
    del sent
    assert len(list(temporary.rglob("*.tar"))) == 1
    assert colour(source[0]) == "lime"
    child = os.fork()
    if child == 0:
        mine = colour(source[0]) == "lime" and len(list(temporary.rglob("*.tar"))) == 2
        del source
        left = len(list(temporary.rglob("*.tar"))) == 1
        os._exit(0 if mine and left else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert colour(source[0]) == "lime"


def test_from_several_threads(tmp_path, server):
    folder, address = server
    from concurrent.futures import ThreadPoolExecutor

    for n in range(4):
        write_tar(folder / f"s-{n}.tar", sample(f"{n}a", "red") | sample(f"{n}b", "blue"))
    source = WebShards(f"{address}/s-{{0..3}}.tar")
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda i: colour(source[i]), [0, 7, 2, 5, 4, 3, 6, 1] * 3))
    assert seen == ["red", "blue", "red", "blue", "red", "blue", "red", "blue"] * 3
