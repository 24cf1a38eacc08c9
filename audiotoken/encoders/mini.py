"""The mini audio encoder as a part of a diffusers pipeline; `audiotoken.encoders.mini_network` is the network."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin

from audiotoken.encoders.mini_network import FAMILIARITY, MiniNetwork


class MiniEncoder(MiniNetwork, ModelMixin, ConfigMixin):
    """AudioEncoder of the mini checkpoint; see `audiotoken.encoders` for the protocol.

    labels: names of the classes. rate: Hz. width: of the features. channels: of the five convolutions of the
    first branch. mobile: of those of the second. A branch without any is left out.
    """

    config: Any
    device = ModelMixin.device  # it knows of offloading

    @register_to_config
    def __init__(
        self,
        labels: Sequence[str] = ("dog", "rain"),
        rate: int = 16000,
        width: int = 192,
        mels: int = 128,
        channels: Sequence[int] = (24, 48, 96, 128, 192),
        window: int = 16,
        origins: int = 2,
        mobile: Sequence[int] = (),
    ):
        super().__init__(labels, rate, width, mels, channels, window, origins, mobile)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.config["labels"])

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """Save as diffusers does, with the file `FAMILIARITY` of the folder that this encoder was loaded from."""
        super().save_pretrained(save_directory, *args, **kwargs)
        known = Path(self.config.get("_name_or_path") or ".") / FAMILIARITY
        copy = Path(save_directory) / FAMILIARITY
        if known.is_file() and not (copy.exists() and copy.samefile(known)):
            shutil.copyfile(known, copy)
