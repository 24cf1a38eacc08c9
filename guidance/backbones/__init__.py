"""Families of generators behind one interface, one file each; all that differs between them is in these files."""

from guidance.backbones.base import Backbone, Conditioning, JointSequence
from guidance.backbones.unet import UNetBackbone, decode_checked

__all__ = ["Backbone", "Conditioning", "JointSequence", "UNetBackbone", "decode_checked"]
