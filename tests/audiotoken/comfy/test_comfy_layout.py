"""The nodes that read boxes, the folder that ComfyUI loads, and the example workflow."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from comfy_api.latest.io import WidgetInput, check_widget, run_node
from paths import ROOT

from audiotoken.comfy import nodes
from audiotoken.comfy.build import NAME, PACKAGE, build
from audiotoken.errors import OptionError
from guidance.errors import RegionError
from guidance.forms import flux3

FROG = {"x": 64, "y": 200, "width": 300, "height": 240, "metadata": {"type": "obj", "desc": "a green frog"}}
BELL = {"x": 600, "y": 180, "width": 168, "height": 332, "metadata": {"type": "obj", "desc": "a bell"}}
SIZE = {"width": 768, "height": 512}


def lay_out(boxes, **inputs) -> dict:
    return run_node(nodes.SoundLayout, boxes=boxes, **{**SIZE, **inputs})


def test_boxes_become_a_prompt_that_reads_back():
    prompt = lay_out([FROG, BELL])["prompt"]
    layout = flux3.read_text(prompt)
    assert layout.words == ["green frog", "bell"] and "on the left" in layout.caption
    expected = [(64 / 768, 200 / 512, 364 / 768, 440 / 512), (600 / 768, 180 / 512, 1.0, 1.0)]
    for entry, box in zip(layout.entries, expected, strict=True):
        assert entry.box == pytest.approx(box, abs=1e-3)


@pytest.mark.parametrize("target", ["moss", "ideogram", "flux3", "svg"])
def test_each_target_is_written_with_the_caption(target):
    assert "two things at dusk" in lay_out([FROG, BELL], target=target, caption="two things at dusk")["prompt"]


def test_each_box_has_a_mask_and_its_words():
    found = lay_out([FROG, BELL])
    assert found["words"] == ["a green frog", "a bell"]
    frog, bell = found["masks"]
    assert frog.shape == bell.shape == (1, 512, 768) and frog.dtype == torch.float32
    assert frog.sum() == 300 * 240 and frog[0, 200:440, 64:364].min() == 1
    assert bell.sum() == 168 * 332 and bell[0, 511, 767] == 1


def test_elements_go_round_through_create_bounding_boxes():
    elements = lay_out([FROG, BELL])["elements"]
    assert elements[0] == {"type": "obj", "bbox": [391, 83, 859, 474], "desc": "a green frog"}
    again = lay_out(elements)
    assert again["words"] == ["a green frog", "a bell"] and again["elements"] == elements


def test_one_box_and_a_batch_are_read_as_comfyui_reads_them():
    assert lay_out(FROG)["words"] == ["a green frog"] == lay_out([[FROG], [BELL]])["words"]
    bare = {key: FROG[key] for key in ("x", "y", "width", "height")}
    assert lay_out([bare])["words"] == ["thing"]


def test_boxes_and_elements_may_come_as_json():
    elements = lay_out([FROG, BELL])["elements"]
    for boxes in ([FROG, BELL], elements, [[FROG, BELL]]):
        assert lay_out(json.dumps(boxes))["words"] == ["a green frog", "a bell"]
    assert lay_out(lay_out([FROG, BELL], target="comfy")["prompt"])["prompt"] == lay_out([FROG, BELL])["prompt"]
    assert lay_out(json.dumps(FROG))["words"] == ["a green frog"] and lay_out(" ", caption="rain")["words"] == ["rain"]


def test_nothing_placed_is_the_caption_everywhere():
    found = lay_out([], caption="rain")
    assert found["words"] == ["rain"] and found["prompt"] == "rain" and found["masks"][0].min() == 1


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"type": "text", "text": "OPEN", "desc": "a red neon sign"}, "a red neon sign"),
        ({"type": "text", "text": "OPEN", "desc": ""}, "OPEN"),
        ({"type": "obj", "text": "", "desc": ""}, "thing"),
        ({"type": "obj", "text": None, "desc": None}, "thing"),
    ],
)
def test_a_box_of_text_without_a_description_is_named_by_its_text(meta, words):
    assert lay_out([{**FROG, "metadata": meta}])["words"] == [words]
    assert lay_out([{**meta, "bbox": [391, 83, 859, 474]}])["words"] == [words]


def test_all_of_comfyuis_types_for_boxes_can_be_connected():
    for node in (nodes.SoundLayout, nodes.SoundAreas):
        kinds = node.INPUT_TYPES()["required"]["boxes"][0]
        assert kinds == "BOUNDING_BOX,BOUNDING_BOXES,ARRAY,STRING"
    assert [each.io_type for each in nodes.Listen.GET_SCHEMA().outputs][:2] == ["BOUNDING_BOX", "AUDIO"]


@pytest.mark.parametrize("boxes", [[{**FROG, "x": 900}], ["frog"], "frog", "3", [{"bbox": [1, 2]}], None])
def test_boxes_that_cannot_be_read_are_a_sentence(boxes):
    with pytest.raises(RegionError, match="expected"):
        lay_out(boxes)


class Clip:
    """A text encoder as ComfyUI's: tokens, then a list of (tensor, more)."""

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens_scheduled(self, tokens: str) -> list:
        return [[torch.tensor([float(len(tokens))]), {"pooled_output": tokens}]]


def test_areas_hold_the_words_in_their_boxes():
    inputs = {"clip": Clip(), "boxes": [FROG, BELL], "caption": "dusk", "strength": 0.7, **SIZE}
    (whole, frog, bell) = run_node(nodes.SoundAreas, **inputs)["conditioning"]
    assert whole[1] == {"pooled_output": "dusk"}
    assert [each[1]["pooled_output"] for each in (frog, bell)] == ["a green frog", "a bell"]
    assert frog[1]["mask"].sum() == 300 * 240 and frog[1]["mask_strength"] == 0.7
    (_, frog, _) = run_node(nodes.SoundAreas, way="area", **inputs)["conditioning"]
    kind, *area = frog[1]["area"]
    assert kind == "percentage" and area == pytest.approx([240 / 512, 300 / 768, 200 / 512, 64 / 768])
    with pytest.raises(OptionError, match="text encoder"):
        run_node(nodes.SoundAreas, **{**inputs, "clip": None})


# ------------------------------------------------------------------------------------- the folder that ComfyUI loads

LOAD = """
import importlib.abc, importlib.util, sys

ALLOWED = {"numpy", "scipy", "comfy_api"}


class Gate(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if not path and top not in ALLOWED | set(sys.stdlib_module_names) and top[0] != "_" and "/" not in top:
            if top not in ("cython_runtime", "Cython", "cython", "charset_normalizer"):  # what numpy and scipy ask for
                raise ImportError(f"{name} is not what a light installation has")


sys.meta_path.insert(0, Gate())
folder, stubs = sys.argv[1:]
sys.path.append(stubs)
name = folder.replace(".", "_x_")  # as ComfyUI loads it: under its path, with dots by other letters
spec = importlib.util.spec_from_file_location(name, f"{folder}/__init__.py")
module = importlib.util.module_from_spec(spec)
sys.modules[name] = module
spec.loader.exec_module(module)

import asyncio
import numpy as np

extension = asyncio.run(module.comfy_entrypoint())
print([each.GET_SCHEMA().node_id for each in asyncio.run(extension.get_node_list())])
hearing = sys.modules[f"{name}.audiotoken.comfy.hearing"]
noise = np.random.default_rng(3).standard_normal((2, 16_000)) * 0.2
bursts = noise * (np.sin(np.arange(16_000) / 16_000 * 2 * np.pi / np.array([[0.7], [0.45]])) > 0)
gains = np.array([[0.9, 0.26], [0.43, 0.96]])
heard = hearing.hear((gains @ bursts).astype(np.float32), 16_000, words=["frog", "bell"], setup="panned")
print([entry.word for entry in heard.layout.entries])
print(sorted({each.split(".")[0] for each in sys.modules} & {"torch", "diffusers", "PIL", "jaxtyping", "spatial"}))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("custom nodes.v1"))


def test_the_folder_loads_as_in_comfyui_with_numpy_and_scipy_only(built):
    stubs = Path(__file__).parent / "stubs"
    command = [sys.executable, "-I", "-c", LOAD, str(built), str(stubs)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=built.parent, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['SpatialListen', 'SpatialSoundLayout', 'SpatialSoundAreas']",
        "['frog', 'bell']",
        "[]",
    ]


def test_the_folder_is_what_the_registry_wants(built):
    project = tomllib.loads((built / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["name"] == NAME and set(project["tool"]["comfy"]) >= {"PublisherId", "DisplayName"}
    assert (built / "requirements.txt").read_text().splitlines() == project["project"]["dependencies"]
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(project["project"]["dependencies"]) <= set(ours["dependencies"])
    assert project["project"]["version"] == ours["version"]
    assert (built / "LICENSE").read_text("utf-8") == (ROOT / "LICENSE").read_text("utf-8")
    assert (built / "example_workflows" / "boxes_from_sound.json").is_file()
    assert not any("simulat" in path.name or "pipeline" in path.name for path in built.rglob("*.py"))
    assert sum(path.stat().st_size for path in built.rglob("*") if path.is_file()) < 3 * 2**20


def test_an_older_folder_is_replaced_and_another_one_kept(built):
    stale = built / "stale.py"
    stale.write_text("")
    assert build(built.parent) == built and not stale.exists()
    other = built.parent / "other" / NAME
    other.mkdir(parents=True)
    with pytest.raises(OptionError, match="something else is there"):
        build(other.parent)
    assert [each.name for each in other.parent.iterdir()] == [NAME]


# ------------------------------------------------------------------------------------------- the example workflow

CORE = {  # inputs and outputs of ComfyUI's own nodes in the workflow, as docs.comfy.org/built-in-nodes says
    "LoadAudio": ({}, ["AUDIO"]),
    "PreviewImage": ({"images": "IMAGE"}, []),
    "PreviewAudio": ({"audio": "AUDIO"}, []),
    "PreviewAny": ({"source": "*"}, []),
    "MaskPreview": ({"mask": "MASK"}, []),
}
OURS = {each.GET_SCHEMA().node_id: each for each in (nodes.Listen, nodes.SoundLayout, nodes.SoundAreas)}
REQUIRED = {"id", "type", "pos", "size", "flags", "order", "mode", "properties"}  # docs.comfy.org/specs/workflow_json


@pytest.fixture(scope="module")
def workflow() -> dict:
    (path,) = (PACKAGE / "example_workflows").glob("*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_workflow_has_the_sockets_and_widgets_of_the_nodes(workflow):
    assert workflow["version"] == 0.4 and {"last_node_id", "last_link_id", "nodes", "links"} <= set(workflow)
    assert all(set(node) >= REQUIRED for node in workflow["nodes"])
    assert {node["type"] for node in workflow["nodes"]} - set(CORE) == {"SpatialListen", "SpatialSoundLayout"}
    for node in workflow["nodes"]:
        sockets = {each["name"]: each["type"] for each in node["inputs"]}
        outputs = [each["type"] for each in node["outputs"]]
        if node["type"] in CORE:
            assert (sockets, outputs) == CORE[node["type"]]
            continue
        schema = OURS[node["type"]].GET_SCHEMA()
        known = {each.id: each.get_io_type() for each in schema.inputs}
        widgets = [each for each in schema.inputs if isinstance(each, WidgetInput) and not each.force_input]
        names = [each.id for each in widgets]
        assert sockets.items() <= known.items()
        assert {each.id for each in schema.inputs if not each.optional} - set(names) <= set(sockets)
        assert [each["name"] for each in node["inputs"] if "widget" in each] == [n for n in names if n in sockets]
        assert outputs == [each.get_io_type() for each in schema.outputs]
        assert [each["name"] for each in node["outputs"]] == [each.display_name for each in schema.outputs]
        for each, value in zip(widgets, node["widgets_values"], strict=True):
            check_widget(each.id, value, each.get_io_type(), each.as_dict())


def test_the_links_join_sockets_of_one_type(workflow):
    by_id = {node["id"]: node for node in workflow["nodes"]}
    assert workflow["last_node_id"] == max(by_id) and workflow["last_link_id"] == max(
        each[0] for each in workflow["links"]
    )
    for number, start, slot, end, socket, kind in workflow["links"]:
        source, target = by_id[start]["outputs"][slot], by_id[end]["inputs"][socket]
        assert number in source["links"] and target["link"] == number and source["type"] == kind
        assert target["type"] == "*" or kind in target["type"].split(",")
        assert by_id[start]["order"] < by_id[end]["order"]
    linked = sum(each["link"] is not None for node in workflow["nodes"] for each in node["inputs"])
    assert linked == len(workflow["links"])
