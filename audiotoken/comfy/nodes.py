"""The nodes, in ComfyUI's V3 schema: docs.comfy.org/custom-nodes/v3_migration."""

from typing import Any

from comfy_api.latest import ComfyExtension, io

from audiotoken.comfy.areas import WAYS, list_words, make_conditioning, make_mask, make_masks, read_boxes
from audiotoken.comfy.audio import make_audio, read_audio
from audiotoken.comfy.hearing import hear
from audiotoken.comfy.picture import draw_heard, make_image
from audiotoken.stereo.layouts import parse_words
from guidance.forms import FORMS, comfy, flux3, ideogram
from guidance.layout import CANVAS, MOST
from spatial.scene import MAX_SOURCES
from spatial.setups import NAMES

CATEGORY = "audio/spatial"


def size_inputs() -> list[Any]:
    """Width and height of the picture, as in ComfyUI's own nodes for boxes."""
    tip = "{} of the picture to be drawn, in pixels."
    return [
        io.Int.Input("width", default=CANVAS[0], min=64, max=MOST, step=16, tooltip=tip.format("Width")),
        io.Int.Input("height", default=CANVAS[1], min=64, max=MOST, step=16, tooltip=tip.format("Height")),
    ]


class Listen(io.ComfyNode):
    """A recording -> boxes with names, stems, a picture of who is where, a caption and notes."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="SpatialListen",
            display_name="Listen (who is where)",
            category=CATEGORY,
            description="Finds the sounds of a stereo recording and gives each the box in which it is heard.",
            inputs=[
                io.Audio.Input("audio", tooltip="A stereo recording; of a longer one the first minute is heard."),
                io.String.Input(
                    "words",
                    default="",
                    tooltip="Names of the sounds from left to right, such as: frog, bell. Empty: they are named by an "
                    "encoder, if spatial-audiotoken is installed.",
                ),
                io.String.Input("setting", default="", tooltip="Where it all is, for the caption: in a meadow"),
                *size_inputs(),
                io.Combo.Input("setup", options=["auto", *NAMES], default="auto", tooltip="How it was recorded."),
                io.Int.Input("max_sources", default=MAX_SOURCES, min=1, max=MAX_SOURCES, tooltip="Most sounds."),
                io.Float.Input(
                    "fov", default=90.0, min=1.0, max=170.0, step=1.0, tooltip="Degrees across the picture."
                ),
                io.String.Input("model", default="mini", tooltip="Whose encoder names the sounds; empty: none."),
            ],
            outputs=[
                io.BoundingBox.Output(display_name="boxes", tooltip="A box for each sound that has a place."),
                io.Audio.Output(
                    display_name="stems", tooltip="Each sound alone, from left to right.", is_output_list=True
                ),
                io.String.Output(display_name="names", tooltip="The name of each stem.", is_output_list=True),
                io.Image.Output(display_name="picture", tooltip="Who is where, and when."),
                io.String.Output(display_name="caption", tooltip="A sentence for the whole picture."),
                io.String.Output(display_name="notes", tooltip="What is unusual about the recording."),
            ],
        )

    @classmethod
    def execute(
        cls,
        audio: Any,
        words: str = "",
        setting: str = "",
        width: int = CANVAS[0],
        height: int = CANVAS[1],
        setup: str = "auto",
        max_sources: int = MAX_SOURCES,
        fov: float = 90.0,
        model: str = "mini",
    ) -> Any:
        recording, rate, notes = read_audio(audio)
        heard = hear(
            recording,
            rate,
            words=parse_words(words.strip() or None),
            model=model.strip(),
            setup=setup,
            max_sources=max_sources,
            canvas=(width, height),
            fov=fov,
            setting=setting,
        )
        stems = [make_audio(stem, rate) for stem in heard.stems]
        picture = make_image(draw_heard(heard, recording.shape[1] / rate, fov))
        text = "\n".join((*notes, *heard.notes))
        return io.NodeOutput(
            comfy.to_boxes(heard.layout), stems, list(heard.names), picture, heard.layout.caption, text
        )


def box_inputs() -> list[Any]:
    """Boxes or elements, a caption, and the canvas that they stand on."""
    return [
        io.MultiType.Input(
            "boxes",
            [io.BoundingBox, io.Custom("BOUNDING_BOXES"), io.Array, io.String],
            tooltip="The boxes of Listen, or the elements of Create Bounding Boxes, which keeps no words in its boxes; "
            "or JSON of either.",
        ),
        io.String.Input(
            "caption",
            default="",
            multiline=True,
            tooltip="A sentence for the whole picture. Empty: written from the boxes.",
        ),
        *size_inputs(),
    ]


class SoundLayout(io.ComfyNode):
    """Boxes -> a prompt for a generator that reads boxes, a mask of each, and elements for other nodes."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="SpatialSoundLayout",
            display_name="Sound layout (prompt from boxes)",
            category=CATEGORY,
            description="Writes boxes as generators read them: FLUX 3, Ideogram, MOSS-Image and others.",
            inputs=[
                *box_inputs(),
                io.Combo.Input("target", options=list(FORMS), default=flux3.TEXT.name, tooltip="Who reads the prompt."),
            ],
            outputs=[
                io.String.Output(display_name="prompt", tooltip="The caption and the boxes, as the target reads them."),
                io.Mask.Output(display_name="masks", tooltip="The place of each thing.", is_output_list=True),
                io.String.Output(display_name="words", tooltip="What is in each mask.", is_output_list=True),
                io.Array.Output(display_name="elements", tooltip="For nodes that take an element, such as FLUX 3's."),
            ],
        )

    @classmethod
    def execute(cls, boxes: Any, caption: str, width: int, height: int, target: str) -> Any:
        layout = read_boxes(boxes, (width, height), caption)
        masks = [make_mask(mask) for mask in make_masks(layout)]
        return io.NodeOutput(FORMS[target].write(layout), masks, list_words(layout), ideogram.to_elements(layout))


class SoundAreas(io.ComfyNode):
    """Boxes -> conditioning in which the words of each box hold in it alone, for models that read no boxes."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="SpatialSoundAreas",
            display_name="Sound areas (conditioning from boxes)",
            category=CATEGORY,
            description="The caption everywhere, and the words of each box in it alone.",
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder of the model."),
                *box_inputs(),
                io.Combo.Input("way", options=list(WAYS), default=WAYS[0], tooltip="By a mask, or by an area."),
                io.Float.Input("strength", default=1.0, min=0.0, max=10.0, step=0.05, tooltip="Of the words in boxes."),
            ],
            outputs=[io.Conditioning.Output(display_name="conditioning")],
        )

    @classmethod
    def execute(cls, clip: Any, boxes: Any, caption: str, width: int, height: int, way: str, strength: float) -> Any:
        layout = read_boxes(boxes, (width, height), caption)
        return io.NodeOutput(make_conditioning(clip, layout, way, strength))


class SpatialNodes(ComfyExtension):
    """What ComfyUI loads."""

    async def get_node_list(self) -> list[Any]:
        return [Listen, SoundLayout, SoundAreas]


async def comfy_entrypoint() -> SpatialNodes:
    return SpatialNodes()
