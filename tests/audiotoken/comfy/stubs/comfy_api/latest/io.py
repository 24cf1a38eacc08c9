"""The part of `comfy_api.latest.io` that the nodes use; see the package."""

import inspect
from dataclasses import dataclass, field
from typing import Any


class Input:
    io_type = ""
    is_widget = False

    def __init__(self, id, display_name=None, optional=False, tooltip=None, lazy=None, extra_dict=None, raw_link=None):
        self.id, self.optional, self.default = id, optional, None

    def accepts(self, value: Any) -> bool:
        return True


class WidgetInput(Input):
    is_widget = True
    kind: tuple[type, ...] = (object,)

    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        socketless=None,
        widget_type=None,
        force_input=None,
        extra_dict=None,
        raw_link=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, extra_dict, raw_link)
        self.default, self.is_widget = default, not force_input

    def accepts(self, value):
        return isinstance(value, self.kind) and not isinstance(value, bool)


class _Number(WidgetInput):
    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        min=None,
        max=None,
        step=None,
        **more,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, default, **more)
        self.min, self.max, self.step = min, max, step

    def accepts(self, value):
        return super().accepts(value) and self.min <= value <= self.max


class Output:
    io_type = ""

    def __init__(self, id=None, display_name=None, tooltip=None, is_output_list=False):
        self.id, self.display_name, self.is_output_list = id, display_name, is_output_list


def _socket(name: str, kind: type[Input] = Input) -> type:
    parts = {"io_type": name}
    return type(
        name, (), {**parts, "Input": type("Input", (kind,), parts.copy()), "Output": type("Output", (Output,), parts)}
    )


class _Int(_Number):
    kind = (int,)

    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        min=None,
        max=None,
        step=None,
        control_after_generate=None,
        display_mode=None,
        socketless=None,
        force_input=None,
        extra_dict=None,
        raw_link=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, default, min, max, step, force_input=force_input)


class _Float(_Number):
    kind = (int, float)

    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        min=None,
        max=None,
        step=None,
        round=None,
        display_mode=None,
        socketless=None,
        force_input=None,
        extra_dict=None,
        raw_link=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, default, min, max, step, force_input=force_input)


class _String(WidgetInput):
    kind = (str,)

    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        multiline=False,
        placeholder=None,
        default=None,
        dynamic_prompts=None,
        socketless=None,
        force_input=None,
        extra_dict=None,
        raw_link=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, default, force_input=force_input)


class _Combo(WidgetInput):
    def __init__(
        self,
        id,
        options=None,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        control_after_generate=None,
        upload=None,
        image_folder=None,
        remote=None,
        socketless=None,
        extra_dict=None,
        raw_link=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, default)
        self.options = options

    def accepts(self, value):
        return value in self.options


Int, Float, String, Combo = (
    _socket("INT", _Int),
    _socket("FLOAT", _Float),
    _socket("STRING", _String),
    _socket("COMBO", _Combo),
)
Audio, Image, Mask, Clip, Conditioning = map(_socket, ("AUDIO", "IMAGE", "MASK", "CLIP", "CONDITIONING"))
BoundingBox, Array = _socket("BOUNDING_BOX"), _socket("ARRAY")


class MultiType:
    class Input(Input):
        def __init__(
            self, id, types, display_name=None, optional=False, tooltip=None, lazy=None, extra_dict=None, raw_link=None
        ):
            super().__init__(id, display_name, optional, tooltip, lazy, extra_dict, raw_link)
            self.io_type = ",".join(each.io_type for each in types)


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    hidden: list = field(default_factory=list)
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_api_node: bool = False
    not_idempotent: bool = False
    enable_expand: bool = False

    def validate(self) -> None:
        """ComfyUI refuses ids that are not unique among inputs and outputs."""
        ids = [each.id for each in self.inputs] + [each.id for each in self.outputs if each.id]
        assert len(set(ids)) == len(ids), ids


class NodeOutput:
    def __init__(self, *args, ui=None, expand=None, block_execution=None):
        self.args, self.ui, self.expand, self.block_execution = args, ui, expand, block_execution

    @property
    def result(self):
        return self.args if self.args else None


class ComfyNode:
    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        schema = cls.define_schema()
        schema.validate()
        return schema


def run_node(node: type[ComfyNode], **values: Any) -> dict[str, Any]:
    """What ComfyUI does with a node: all inputs by name, defaults of widgets, one result for each output."""
    schema = node.GET_SCHEMA()
    given = {each.id: each.default for each in schema.inputs if each.is_widget} | values
    wanted = {each.id for each in schema.inputs}
    assert set(given) <= wanted
    assert {each.id for each in schema.inputs if not each.optional} <= set(given)
    assert [each.id for each in schema.inputs if each.id in given and not each.accepts(given[each.id])] == []
    assert set(inspect.signature(node.execute).parameters) == wanted
    output = node.execute(**given)
    assert isinstance(output, NodeOutput) and len(output.args) == len(schema.outputs)
    named = {each.display_name: value for each, value in zip(schema.outputs, output.args, strict=True)}
    assert all(isinstance(named[each.display_name], list) for each in schema.outputs if each.is_output_list)
    return named
