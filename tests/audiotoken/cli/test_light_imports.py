"""What the commands leave out of memory: they run in a new process, which then names what it imported."""

import gc
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import soundfile
import torch
from paths import ROOT

from audiotoken.cli.terminal import running, set_library_logs
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.encoders.mini_network import MiniNetwork, load_network
from audiotoken.light_imports import RARELY
from audiotoken.loading import find_model

POSTPONED = {"peft", "torch._dynamo", "scipy.stats", "matplotlib.figure"}
COMMANDS = {  # in this order: what one may not import, a later one may
    "listen clip.wav --no-labels": {"torch", "diffusers", "transformers", *POSTPONED},
    "listen clip.wav": {"diffusers", "transformers", *POSTPONED},
    "place clip.wav --steps 1 -o picture.png": POSTPONED,
}
CODE = """
import importlib.metadata, json, sys
from audiotoken.cli.app import app
from audiotoken.light_imports import postponing

loaded = {}
for command in sys.argv[1:]:
    try:
        app(command.split())
    except SystemExit as end:
        assert not end.code, end.code
    loaded[command] = [*sys.modules]
with postponing():
    asked = importlib.metadata.packages_distributions()
    unread = not vars(asked).get("_packages")
    import scipy.signal
    from diffusers.loaders import lora_base
    from peft.tuners.tuners_utils import BaseTunerLayer
    assert not isinstance(1, lora_base.BaseTunerLayer)
assert "peft" not in sys.modules and "scipy.stats" not in sys.modules
peaks = len(scipy.signal.find_peaks_cwt([0, 1, 5, 1, 0, 1, 6, 1, 0], [1]))  # needs scipy.stats
import peft, torch, torch._dynamo
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.to_q = torch.nn.Linear(2, 2)
layer = peft.get_peft_model(Net(), peft.LoraConfig(target_modules=["to_q"])).base_model.model.to_q
same = isinstance(layer, lora_base.BaseTunerLayer) and isinstance(layer, BaseTunerLayer)
packages = {"unread": unread, "same": dict(asked) == importlib.metadata.packages_distributions()}
names = {"same": same, "name": torch._dynamo.optimize.__name__}
print(json.dumps({"loaded": loaded, "peaks": peaks, "packages": packages, **names}))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What one new process says of itself: the modules after each command, then what used the postponed ones."""
    folder = tmp_path_factory.mktemp("folder")
    tone = 0.1 * np.sin(np.arange(16_000) / 5)
    soundfile.write(folder / "clip.wav", np.stack([tone, 0.3 * tone], axis=1), 16_000)
    code = [sys.executable, "-W", "ignore", "-c", CODE, *COMMANDS]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}  # this checkout, whichever is installed
    done = subprocess.run(code, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_import_only_what_they_use(command, answers):
    loaded = answers["loaded"][command]
    assert "spatial.listening" in loaded
    assert sorted(COMMANDS[command].intersection(loaded)) == []


def test_what_was_postponed_is_there_when_it_is_used(answers):
    assert answers["peaks"] >= 1 and answers["same"] and answers["name"] == "optimize"


def test_installed_files_are_looked_through_when_somebody_asks(answers):
    assert answers["packages"] == {"unread": True, "same": True}


def test_a_command_looks_for_garbage_rarely_and_leaves_it_as_it_was():
    usual = gc.get_threshold()
    with running("drawing", quiet=True, verbose=True):
        assert gc.get_threshold() == (RARELY, *usual[1:]) and usual[0] < RARELY
    assert gc.get_threshold() == usual and gc.isenabled()


def test_what_libraries_ask_of_the_hub_in_an_old_way_is_no_line(monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", [])
    for verbose, told in ((False, ["ours"]), (True, ["ours", "theirs"])):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            set_library_logs(verbose)
            for text, module in (("ours", "audiotoken.model"), ("theirs", "huggingface_hub.utils._validators")):
                warnings.warn_explicit(text, UserWarning, "file.py", 1, module=module)
        assert [str(each.message) for each in caught] == told


def test_the_network_alone_hears_what_the_encoder_hears():
    folder = find_model("mini")
    encoder = MiniEncoder.from_pretrained(folder, subfolder="audio_encoder").eval()
    network = load_network(f"{folder}/audio_encoder")
    assert isinstance(encoder, MiniNetwork) and not isinstance(network, MiniEncoder)
    waveform = 0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(encoder.probabilities(waveform), network.probabilities(waveform))
        assert torch.equal(encoder.features(waveform), network.features(waveform))
    assert (network.labels, network.rate, network.width) == (encoder.labels, encoder.rate, encoder.width)
