"""Data loading, in order: files -> examples -> encoded by the frozen models -> shards -> batches.

folders, vggsound, web_shards    sources: data sets, read on demand (folders has Example and Source)
image_file, video_file, tar_index, remote    how they read untrusted files
examples, augment                what the frozen models compute of an example
prepared, shards, manifest       the same, stored on disk
batches                          the order in which training sees them
"""

from audiotoken.data.folders import EscFolder, Example, PairFolder, Source, fit_image, fit_signal, read_esc_rows
from audiotoken.errors import DataError

__all__ = ["DataError", "EscFolder", "Example", "PairFolder", "Source", "fit_image", "fit_signal", "read_esc_rows"]
