"""The part of `comfy_api.latest.io` that nodes use; see the package. `run_node` does with one what ComfyUI does."""

import inspect
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


def prune(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


class _Socket:
    Parent: Any = None

    @property
    def io_type(self) -> str:
        return self.Parent.io_type

    def get_io_type(self) -> str:
        return self.io_type

    def validate(self) -> None:
        pass


class Input(_Socket):
    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        extra_dict=None,
        raw_link=None,
        advanced=None,
    ):
        self.id, self.display_name, self.optional, self.tooltip, self.lazy = id, display_name, optional, tooltip, lazy
        self.extra_dict, self.rawLink, self.advanced = extra_dict or {}, raw_link, advanced

    def as_dict(self) -> dict[str, Any]:
        keys = ("display_name", "optional", "tooltip", "lazy", "rawLink", "advanced")
        return prune({key: getattr(self, key) for key in keys}) | prune(self.extra_dict)

    def get_all(self) -> list["Input"]:
        return [self]


class WidgetInput(Input):
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
        advanced=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, extra_dict, raw_link, advanced)
        self.default, self.socketless, self.widget_type, self.force_input = (
            default,
            socketless,
            widget_type,
            force_input,
        )

    def as_dict(self):
        more = {"default": self.default, "socketless": self.socketless, "widgetType": self.widget_type}
        return super().as_dict() | prune({**more, "forceInput": self.force_input})

    def get_io_type(self):
        return self.widget_type or super().get_io_type()


class Output(_Socket):
    def __init__(self, id=None, display_name=None, tooltip=None, is_output_list=False):
        self.id, self.display_name, self.tooltip, self.is_output_list = id, display_name or id, tooltip, is_output_list


class ComfyTypeIO:
    io_type = ""


def comfytype(io_type: str) -> Any:
    """A class with its own Input and Output, which know it as their Parent."""

    def decorate(cls: type) -> type:
        kinds = {"Input": vars(cls).get("Input", Input), "Output": vars(cls).get("Output", Output)}
        own = {name: type(name, (kind,), {}) for name, kind in kinds.items()}
        made = type(cls.__name__, (cls, ComfyTypeIO), {"io_type": io_type, **own})
        for each in own.values():
            each.Parent = made
        return made

    return decorate


def Custom(io_type: str) -> type:
    return comfytype(io_type)(type("CustomComfyType", (), {}))


@comfytype("INT")
class Int:
    class Input(WidgetInput):
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
            advanced=None,
        ):
            shared = (extra_dict, raw_link, advanced)
            super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input, *shared)
            self.min, self.max, self.step = min, max, step

        def as_dict(self):
            return super().as_dict() | prune({"min": self.min, "max": self.max, "step": self.step})


@comfytype("FLOAT")
class Float:
    class Input(WidgetInput):
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
            gradient_stops=None,
            socketless=None,
            force_input=None,
            extra_dict=None,
            raw_link=None,
            advanced=None,
        ):
            shared = (extra_dict, raw_link, advanced)
            super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input, *shared)
            self.min, self.max, self.step, self.round = min, max, step, round

        def as_dict(self):
            return super().as_dict() | prune({key: getattr(self, key) for key in ("min", "max", "step", "round")})


@comfytype("STRING")
class String:
    class Input(WidgetInput):
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
            advanced=None,
        ):
            shared = (extra_dict, raw_link, advanced)
            super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input, *shared)
            self.multiline, self.placeholder, self.dynamic_prompts = multiline, placeholder, dynamic_prompts

        def as_dict(self):
            more = {"multiline": self.multiline, "placeholder": self.placeholder}
            return super().as_dict() | prune({**more, "dynamicPrompts": self.dynamic_prompts})


@comfytype("COMBO")
class Combo:
    class Input(WidgetInput):
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
            remote_combo=None,
            socketless=None,
            extra_dict=None,
            raw_link=None,
            advanced=None,
        ):
            shared = (extra_dict, raw_link, advanced)
            super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, None, *shared)
            self.multiselect, self.options = False, options

        def as_dict(self):
            return super().as_dict() | prune({"multiselect": self.multiselect, "options": self.options})


@comfytype("BOUNDING_BOX")
class BoundingBox:
    class Input(WidgetInput):
        def __init__(
            self,
            id,
            display_name=None,
            optional=False,
            tooltip=None,
            socketless=True,
            default=None,
            component=None,
            force_input=None,
        ):
            default = default or {"x": 0, "y": 0, "width": 512, "height": 512}
            super().__init__(id, display_name, optional, tooltip, None, default, socketless, None, force_input)


@comfytype("BOUNDING_BOXES")
class BoundingBoxes:
    class Input(WidgetInput):
        def __init__(
            self,
            id,
            display_name=None,
            optional=False,
            tooltip=None,
            socketless=True,
            default=None,
            advanced=None,
        ):
            shared = (None, None, advanced)
            super().__init__(id, display_name, optional, tooltip, None, default or [], socketless, None, None, *shared)


Audio, Image, Mask, Clip = Custom("AUDIO"), Custom("IMAGE"), Custom("MASK"), Custom("CLIP")
Conditioning, Array = Custom("CONDITIONING"), Custom("ARRAY")


class MultiType:
    io_type = "COMFY_MULTITYPED_V3"

    class Input(Input):
        def __init__(
            self,
            id,
            types,
            display_name=None,
            optional=False,
            tooltip=None,
            lazy=None,
            extra_dict=None,
            raw_link=None,
            advanced=None,
        ):
            super().__init__(id, display_name, optional, tooltip, lazy, extra_dict, raw_link, advanced)
            self.io_types = types

        def get_io_type(self):
            return ",".join(dict.fromkeys(each.io_type for each in self.io_types))


MultiType.Input.Parent = MultiType


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    hidden: list = field(default_factory=list)
    description: str = ""
    search_aliases: list = field(default_factory=list)
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_dev_only: bool = False
    is_api_node: bool = False
    price_badge: Any = None
    not_idempotent: bool = False
    enable_expand: bool = False
    accept_all_inputs: bool = False
    essentials_category: str | None = None
    has_intermediate_output: bool = False
    loop_boundary: str | None = None

    def finalize(self) -> None:
        """Outputs without an id get one."""
        for number, each in enumerate(self.outputs):
            each.id = each.id or f"_{number}_{each.io_type}_"

    def validate(self) -> None:
        """Ids are unique among the inputs, and among the outputs."""
        for what, sockets in (("Input", self.inputs), ("Output", self.outputs)):
            twice = [name for name, count in Counter(each.id for each in sockets).items() if count > 1]
            if twice:
                raise ValueError(f"{what} ids must be unique, but {twice} are not.")
        for each in (*self.inputs, *self.outputs):
            each.validate()

    def list_inputs(self) -> dict[str, dict[str, tuple[str, dict]]]:
        """As INPUT_TYPES of the first schema: required and optional, each name -> (type, options)."""
        listed: dict[str, dict] = {"required": {}}
        for each in self.inputs:
            options = each.as_dict()
            options.pop("optional", None)
            listed.setdefault("optional" if each.optional else "required", {})[each.id] = (each.get_io_type(), options)
        return listed


class NodeOutput:
    def __init__(self, *args, ui=None, expand=None, block_execution=None):
        self.args, self.ui, self.expand, self.block_execution = args, ui, expand, block_execution

    @property
    def result(self):
        return self.args if self.args else None


class ComfyNode:
    SCHEMA: Schema | None = None
    FUNCTION = "EXECUTE_NORMALIZED"

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **inputs) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        for name in ("define_schema", "execute"):
            if getattr(cls, name).__func__ is getattr(ComfyNode, name).__func__:
                raise Exception(f"No {name} function was defined for node class {cls.__name__}.")
        schema = cls.define_schema()
        schema.finalize()
        schema.validate()
        cls.SCHEMA = schema
        return schema

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return cls.GET_SCHEMA().list_inputs()

    @classmethod
    def EXECUTE_NORMALIZED(cls, **inputs) -> NodeOutput:
        output = cls.execute(**inputs)
        assert isinstance(output, NodeOutput), type(output)
        return output


def run_node(node: type[ComfyNode], **values: Any) -> dict[str, Any]:
    """What ComfyUI does with a node: inputs by name, defaults of widgets, checks of widgets, one result an output.

    A list output stays a list; the others are the one value.
    """
    schema, listed = node.GET_SCHEMA(), node.INPUT_TYPES()
    declared = listed["required"] | listed.get("optional", {})
    widgets = {name: options["default"] for name, (_, options) in declared.items() if "default" in options}
    given = widgets | values
    assert set(given) <= set(declared)
    assert set(listed["required"]) <= set(given), "Required input is missing"
    for name, value in given.items():
        check_widget(name, value, *declared[name])
    assert set(inspect.signature(node.execute).parameters) == set(declared)
    clone = type(node.__name__, (node,), {})  # a class of its own for each run: nothing is left on the node
    results = getattr(clone, clone.FUNCTION)(**given).result
    assert len(results) == len(schema.outputs)
    assert all(
        isinstance(value, list) for each, value in zip(schema.outputs, results, strict=True) if each.is_output_list
    )
    return {each.display_name: value for each, value in zip(schema.outputs, results, strict=True)}


def check_widget(name: str, value: Any, kind: str, options: dict[str, Any]) -> None:
    """The checks of a prompt: the type, the smallest and the largest number, and the options of a combo."""
    if kind in KINDS:
        assert isinstance(value, KINDS[kind]) and not isinstance(value, bool), (name, value)
    if kind == "COMBO":
        assert value in options["options"], (name, value)
    assert options.get("min") is None or value >= options["min"], (name, value)
    assert options.get("max") is None or value <= options["max"], (name, value)


KINDS: dict[str, tuple[type, ...]] = {"INT": (int,), "FLOAT": (int, float), "STRING": (str,)}
