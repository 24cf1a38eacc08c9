"""One function loads every encoder: the published forms, and the encoder of a model's folder."""

from importlib.resources import files
from pathlib import Path

import pytest

from audiotoken.assembly.base import inspect_base
from audiotoken.debug import debug_encoder, debug_folder, debug_pipeline
from audiotoken.encoders import AudioEncoder
from audiotoken.encoders.load import CLASSES, fetch_beats, has_encoder, load_encoder, read_names
from audiotoken.errors import CheckpointError, OptionError
from audiotoken.evaluation.seeing import load_see
from audiotoken.hub_access import is_hub_reachable, use_hub_if_reachable
from audiotoken.loading import OWN_ENCODERS
from audiotoken.pipeline import AudioTokenPipeline
from guidance.errors import GuidanceError

BEATS = Path(__file__).parents[2] / "reference" / "beats_tiny.pt"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    debug_pipeline().save_pretrained(folder)
    return folder


def test_each_kind_is_an_audio_encoder_that_is_ready(model):
    for spec in (f"beats:{BEATS}", "mini", str(model), str(files("audiotoken.mini"))):
        encoder = load_encoder(spec)
        assert isinstance(encoder, AudioEncoder) and not encoder.training


def test_the_encoder_of_a_folder_is_the_one_that_was_saved(model):
    loaded, saved = load_encoder(str(model)).state_dict(), debug_encoder().state_dict()
    assert all(loaded[name].equal(weight) for name, weight in saved.items())


def test_a_model_may_name_every_kind():
    assert {f"audiotoken.encoders.{kind}" for kind in CLASSES} == set(OWN_ENCODERS)


def test_has_encoder(model, tmp_path):
    assert has_encoder(model) and not has_encoder(tmp_path) and not has_encoder(tmp_path / "nothing")
    assert not has_encoder(debug_folder("sd1", tmp_path / "base"))
    (tmp_path / "model_index.json").write_text('{"audio_encoder": ["antigravity", "fly"]}')
    assert not has_encoder(tmp_path)
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"Cannot read .*model_index\.json"):
        has_encoder(tmp_path)


@pytest.mark.parametrize("spec", ["wav2vec:x", "beats:", "mini:x", "beats", "nowhere"])
def test_refuses_what_names_no_encoder(spec):
    with pytest.raises(OptionError, match="expected beats:FILE"):
        load_encoder(spec)


def test_a_model_s_encoder_keeps_its_layers_and_labels(model, tmp_path):
    with pytest.raises(OptionError, match="has its own layers and labels"):
        load_encoder(str(model), layers=(1,))
    with pytest.raises(OptionError, match="has its own layers and labels"):
        load_encoder(str(model), labels=tmp_path / "names.txt")


def test_a_damaged_encoder_is_named(model, tmp_path):
    (tmp_path / "model_index.json").write_text((model / "model_index.json").read_text())
    with pytest.raises(CheckpointError, match="Cannot load the audio encoder of "):
        load_encoder(str(tmp_path))


def test_names_are_the_lines_of_a_file(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("dog\n\n church bell \n")
    assert read_names(file) == ("dog", "church bell")
    file.write_text("\n")
    with pytest.raises(OptionError, match="it is empty"):
        read_names(file)
    with pytest.raises(OptionError, match="Cannot read"):
        read_names(tmp_path / "nothing.txt")


def test_a_file_of_the_hub_is_fetched(tmp_path, monkeypatch):
    asked = []

    def download(repository, file):
        asked.append((repository, file))
        return tmp_path / file

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert fetch_beats("owner/name/beats.pt") == str(tmp_path / "beats.pt")
    assert asked == [("owner/name", "beats.pt")]
    (tmp_path / "here.pt").touch()
    assert fetch_beats(str(tmp_path / "here.pt")) == str(tmp_path / "here.pt") and len(asked) == 1


def test_without_a_network_the_file_to_fetch_by_hand_is_named(monkeypatch):
    def download(repository, file):
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    wanted = "fetch https://huggingface.co/owner/name/resolve/main/beats.pt by hand, and give beats:beats.pt"
    with pytest.raises(CheckpointError, match=wanted):
        load_encoder("beats:owner/name/beats.pt")


@pytest.fixture
def no_network(monkeypatch):
    """There is no way to the hub, and waiting for one is an error."""
    monkeypatch.setattr("audiotoken.hub_access.is_hub_reachable", lambda: False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.utils._http.time", None)


@pytest.mark.parametrize(
    "load",
    [
        lambda: AudioTokenPipeline.from_pretrained("someone/no-such-model"),
        lambda: load_encoder("ast:someone/no-such-model"),
        lambda: load_encoder("ced:someone/no-such-model"),
        lambda: load_encoder("beats:someone/no-such-model/beats.pt"),
        lambda: inspect_base("someone/no-such-model"),
        lambda: load_see("someone/no-such-model"),
    ],
)
def test_without_a_network_nobody_waits(load, no_network):
    """The hub's library tries six times, with 23 seconds between."""
    with pytest.raises((CheckpointError, GuidanceError), match="someone/no-such-model") as caught:
        load()
    assert "\n" not in str(caught.value) and "NoneType" not in str(caught.value)


def test_the_hub_is_asked_again_when_there_is_a_way(no_network, monkeypatch):
    from huggingface_hub import is_offline_mode

    use_hub_if_reachable("someone/model")
    assert is_offline_mode()
    monkeypatch.setattr("audiotoken.hub_access.is_hub_reachable", lambda: True)
    use_hub_if_reachable("someone/model")
    assert not is_offline_mode()


@pytest.mark.parametrize(
    ("error", "proxies", "reachable"),
    [
        (OSError(-2, "Name or service not known"), {}, False),
        (ConnectionRefusedError(), {}, False),
        (TimeoutError(), {}, True),
        (OSError(-2, "Name or service not known"), {"https": "http://proxy:3128"}, True),
    ],
)
def test_a_slow_network_is_one(error, proxies, reachable, monkeypatch):
    def connect(*args, **options):
        raise error

    monkeypatch.setattr("audiotoken.hub_access.socket.create_connection", connect)
    monkeypatch.setattr("audiotoken.hub_access.getproxies", lambda: proxies)
    assert is_hub_reachable() is reachable


@pytest.mark.parametrize(("kind", "file"), [("ast", "model.safetensors"), ("clap", "tokenizer.json")])
def test_without_a_network_the_files_to_fetch_are_named(kind, file, monkeypatch):
    def offline(*args, **options):
        raise OSError("We couldn't connect to 'https://huggingface.co' to load the files.")

    monkeypatch.setattr("transformers.PreTrainedConfig.get_config_dict", offline)
    with pytest.raises(CheckpointError) as caught:
        load_encoder(f"{kind}:someone/ears")
    message = str(caught.value)
    assert "fetch config.json" in message and file in message and "huggingface.co/someone/ears" in message
