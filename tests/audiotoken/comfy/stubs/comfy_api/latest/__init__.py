"""A stand-in for ComfyUI's `comfy_api.latest`: names and signatures only, so that the nodes can be tested without it.

Signatures are those of the public documentation, read in 2026:

- docs.comfy.org/custom-nodes/v3_migration: ComfyExtension, comfy_entrypoint, io.ComfyNode, io.Schema, io.NodeOutput,
  and the parameters of the inputs for Int, Float, String and Combo;
- docs.comfy.org/custom-nodes/backend/lists: outputs that are lists;
- docs.comfy.org/built-in-nodes/CreateBoundingBoxes and DrawBBoxes: BOUNDING_BOX and ARRAY;
- comfy_api/latest/_io.py of github.com/Comfy-Org/ComfyUI (November 2026), which those pages describe: the order of
  parameters, the names of types, the rules that a schema has to keep, and how a node is called.
"""

from abc import ABC, abstractmethod

from comfy_api.latest import io as io


class ComfyExtension(ABC):
    @abstractmethod
    async def get_node_list(self) -> list[type[io.ComfyNode]]: ...
