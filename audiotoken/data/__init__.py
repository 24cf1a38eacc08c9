"""Data sets, in the order of the road: files -> examples -> encoded by the frozen parts -> shards -> batches.

folders, vggsound, web_shards    sources: what is there, read when asked for (folders has Example and Source)
image_file, video_file, tar_index, remote    how they read files that strangers made
examples, augment                what the frozen parts of a model see of an example
prepared, shards, manifest       the same, kept on the disk
batches                          the order in which a run sees them
"""

from audiotoken.data.folders import EscFolder, Example, PairFolder, Source, fit_image, fit_signal, read_esc_rows
from audiotoken.errors import DataError

__all__ = ["DataError", "EscFolder", "Example", "PairFolder", "Source", "fit_image", "fit_signal", "read_esc_rows"]
