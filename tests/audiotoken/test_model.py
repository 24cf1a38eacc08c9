"""Loading a model by name: precision, offloading, and the size of its pictures."""

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from audiotoken.debug import debug_pipeline
from audiotoken.errors import OptionError
from audiotoken.model import load_pipeline, read_precision
from audiotoken.tasks.generate import generate


@pytest.fixture(scope="module", params=[torch.float32, torch.float16, torch.bfloat16])
def saved(request, tmp_path_factory):
    """(a model's folder, the precision of its files)."""
    folder = tmp_path_factory.mktemp("model")
    debug_pipeline().to(request.param).save_pretrained(folder)
    return folder, request.param


def test_the_files_tell_their_precision(saved):
    folder, dtype = saved
    assert f"torch.{read_precision(folder)}" == str(dtype)


def test_a_cpu_computes_in_float32_unless_told_otherwise(saved):
    folder, _ = saved
    assert load_pipeline(str(folder), "cpu").dtype == torch.float32
    assert load_pipeline(str(folder), "cpu", "bfloat16").dtype == torch.bfloat16


def test_a_hub_id_tells_no_precision():
    assert read_precision("nobody/nothing") == "float32"


def test_offloading_without_a_gpu_is_refused(saved):
    with pytest.raises(OptionError, match="Got offload=model on the CPU, expected a GPU"):
        load_pipeline(str(saved[0]), "cpu", offload="model")


def test_pictures_have_the_size_that_was_asked_for(tmp_path):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, 0.1 * np.sin(np.arange(9000)), 16_000)
    generate(clip, tmp_path / "out.png", steps=1, width=96, height=64)
    assert Image.open(tmp_path / "out.png").size == (96, 64)
    with pytest.raises(OptionError, match="Got width=97, expected a multiple of 8"):
        generate(clip, tmp_path / "out.png", steps=1, width=97)
