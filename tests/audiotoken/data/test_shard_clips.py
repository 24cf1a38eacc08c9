"""Which members of a shard are clips."""

import tarfile

from audiotoken.data.shard_clips import list_members, note_compressed


def test_a_sound_with_more_dots_in_its_name_is_a_clip_of_its_own(tmp_path):
    """WebDataset groups by the first dot; names such as `Take.left.WAV` were left out without a word."""
    names = ["a.wav", "a.flac", "a.vocals.wav", "dir.v2/Take.left.WAV", "b.mp4", "b.wave", "c.wav.txt"]
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    members, broken = list_members(tmp_path)
    assert list(members) == ["0.tar/a.wav", "0.tar/a.vocals.wav", "0.tar/dir.v2/Take.left.wav", "0.tar/b.mp4"]
    assert broken == {}


def test_compressed_shards_are_noted_once(tmp_path):
    (tmp_path / "0.tar").touch()
    assert note_compressed(tmp_path) == {} == note_compressed(tmp_path / "none")
    (tmp_path / "a").mkdir()
    for name in ("b.tgz", "a/1.tar.gz", "a/.2.tar.gz"):
        (tmp_path / name).touch()
    (note,) = note_compressed(tmp_path)["a/1.tar.gz"]
    assert note == "The first of 2 compressed tar files, which no clips are read from; unpack it."
