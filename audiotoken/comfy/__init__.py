"""Nodes for ComfyUI: a recording becomes boxes with names, and boxes become prompts, masks and areas.

Conventions: those of `spatial.scene` and `guidance.layout`. A recording comes as ComfyUI's AUDIO, {"waveform": tensor
(batch, channels, frames), "sample_rate": Hz}; a picture is (height, width, 3) bytes here and IMAGE, (batch, height,
width, 3) from 0 to 1, outside. Only `comfy.nodes` imports ComfyUI; torch and Pillow, which ComfyUI has, are imported
where tensors and pictures are made. `comfy.build` makes of it a folder for `custom_nodes/` that needs numpy and scipy.
"""
