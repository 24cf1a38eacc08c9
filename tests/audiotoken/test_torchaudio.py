"""torchaudio may be missing, broken or whole: nothing else depends on it."""

import importlib.util
import os
import subprocess
import sys
import warnings

import pytest
import transformers  # noqa: F401

from audiotoken import torchaudio_guard

BROKEN = """
import torchaudio.part
raise OSError("libtorchaudio.so: undefined symbol: _ZN3c10\\nand more")
"""
WHOLE = "__version__ = '9.9.9'"


@pytest.fixture
def torchaudio(tmp_path, monkeypatch):
    """Puts a package called torchaudio, with this text, before any other."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def write(text: str):
        (tmp_path / "torchaudio").mkdir()
        (tmp_path / "torchaudio/__init__.py").write_text(text, encoding="utf-8")
        (tmp_path / "torchaudio/part.py").write_text("", encoding="utf-8")
        return tmp_path

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        del sys.modules[name]


def test_a_broken_one_is_hidden_and_the_sentence_says_what_to_do(torchaudio, caplog):
    torchaudio(BROKEN)
    assert torchaudio_guard.hide_broken_torchaudio()
    assert importlib.util.find_spec("torchaudio") is None
    assert [name for name in sys.modules if name.startswith("torchaudio")] == ["torchaudio"]
    with pytest.raises(ImportError):
        import torchaudio
    (said,) = [record.getMessage() for record in caplog.records]
    assert "is installed but cannot be loaded" in said and "pip uninstall torchaudio" in said
    assert "undefined symbol" in said and "and more" not in said


def test_a_whole_one_stays(torchaudio, caplog):
    torchaudio(WHOLE)
    assert not torchaudio_guard.hide_broken_torchaudio()
    assert sys.modules["torchaudio"].__version__ == "9.9.9" and not caplog.records


def test_a_whole_one_that_warns_stays_where_warnings_are_errors(torchaudio):
    torchaudio(f"import warnings; warnings.warn('old'); {WHOLE}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not torchaudio_guard.hide_broken_torchaudio()


def test_a_broken_one_is_hidden_though_transformers_is_there(torchaudio):
    """transformers is lazy: the parts that import torchaudio may be still to come."""
    torchaudio(BROKEN)
    assert "transformers" in sys.modules
    torchaudio_guard.install()
    assert sys.modules["torchaudio"] is None


def test_a_missing_one_is_nothing_to_tell(torchaudio, monkeypatch, caplog):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not torchaudio_guard.hide_broken_torchaudio() and not caplog.records


def test_it_waits_for_transformers_and_steps_aside(torchaudio, monkeypatch):
    torchaudio(BROKEN)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.delitem(sys.modules, "transformers")
    torchaudio_guard.install()
    torchaudio_guard.install()
    waiting = [each for each in sys.meta_path if isinstance(each, torchaudio_guard._BeforeTransformers)]
    assert len(waiting) == 1 and "torchaudio" not in sys.modules
    assert importlib.util.find_spec("json") and importlib.util.find_spec("transformers")
    assert sys.modules["torchaudio"] is None and waiting[0] not in sys.meta_path


def test_transformers_beside_a_broken_one(torchaudio):
    """Without the guard this import dies: transformers imports torchaudio wherever it finds it."""
    folder = torchaudio(BROKEN)
    code = "import audiotoken; from transformers import audio_utils; print(audio_utils.is_torchaudio_available())"
    path = os.pathsep.join([str(folder), *(each for each in sys.path if each)])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "False\n", done.stderr
    assert done.stderr.count("cannot be loaded") == 1
    bare = code.replace("import audiotoken; ", "")
    assert subprocess.run([sys.executable, "-c", bare], env=environment, capture_output=True).returncode == 1
