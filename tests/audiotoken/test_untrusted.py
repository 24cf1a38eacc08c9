"""Files from outside are data: nothing in them runs, whoever wrote them."""

import ast
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from audiotoken.assembly.parts import load_embedder
from audiotoken.checkpoint import read_checkpoint
from audiotoken.debug import debug_folder, debug_pipeline
from audiotoken.errors import CheckpointError
from audiotoken.loading import explain_load_errors
from audiotoken.pipeline import AudioTokenPipeline
from guidance import sample
from guidance.errors import GuidanceError

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for top in ("audiotoken", "spatial", "guidance", "experiments") for path in (ROOT / top).rglob("*.py")]
FORBIDDEN = ("pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load", "eval", "exec", "os.system", "joblib.load")
SUSPECT = re.compile("pickle|yaml|torch.load|trust_remote|eval|exec|system|joblib")  # others need not be parsed


class Trap:
    """When it is unpickled, a file is made."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return open, (self.file, "w")


# the cells of a page of docs/ are code, and to run them is what it is asked for
MEANT = {("notebook.py", "exec"), ("notebook.py", "eval")}


def calls(path):
    """(name, keywords) of each call in a source file."""
    text = path.read_text()
    for node in ast.walk(ast.parse(text)) if SUSPECT.search(text) else ():
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}


def test_no_call_could_run_what_is_in_a_file():
    assert len(SOURCES) > 100
    for path in SOURCES:
        for name, keywords in calls(path):
            assert name not in FORBIDDEN or (path.name, name) in MEANT, f"{path}: {name}"
            assert name != "torch.load" or keywords.get("weights_only") == "True", path
            assert keywords.get("trust_remote_code", "False") == "False", path
            assert keywords.get("allow_pickle", "False") == "False", path


def test_the_look_at_calls_sees_them(tmp_path):
    (tmp_path / "a.py").write_text("torch.load(f, weights_only=False)\nx = pickle.load(f)\n")
    assert list(calls(tmp_path / "a.py")) == [("torch.load", {"weights_only": "False"}), ("pickle.load", {})]


@pytest.mark.parametrize("read", [load_embedder, lambda file: read_checkpoint(file, "weights")])
@pytest.mark.parametrize("write", [torch.save, lambda values, file: file.write_bytes(pickle.dumps(values))])
def test_code_in_a_weight_file_does_not_run(read, write, tmp_path):
    write({"fc1.weight": Trap(tmp_path / "sprung")}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="holds more than weights"):
        read(tmp_path / "a.pth")
    assert not (tmp_path / "sprung").exists()


def test_code_in_a_model_folder_does_not_run(tmp_path):
    folder = debug_folder("sd1", tmp_path / "model")
    for part, name in (("unet", "diffusion_pytorch_model"), ("text_encoder", "pytorch_model")):
        for file in (folder / part).glob("*.safetensors"):
            file.unlink()
        torch.save({"x": Trap(tmp_path / "sprung")}, folder / part / f"{name}.bin")
    with pytest.raises(CheckpointError, match=re.escape(f"Cannot load the model {folder}: ")):
        AudioTokenPipeline.from_pretrained(folder)
    assert not (tmp_path / "sprung").exists()


def test_a_picture_of_no_numbers_is_refused():
    pipe = debug_pipeline()
    with torch.no_grad():
        next(iter(pipe.unet.parameters())).fill_(np.nan)
    with pytest.raises(GuidanceError, match="not finite, expected numbers; draw in float32"):
        sample(pipe, pipe.encode_prompts("a photo")[0], num_inference_steps=1)


def test_a_pickle_that_is_refused_is_one_sentence():
    words = "model m: a file in it is damaged, or holds more than weights"
    with pytest.raises(CheckpointError, match=words), explain_load_errors("m"):
        raise pickle.UnpicklingError("Weights only load failed.")
