"""Loads a listener for words, each kind from a module of its own, imported only when it is asked for."""

from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from audiotoken.encoders import AudioTextEncoder
from audiotoken.encoders.mini_network import load_network
from audiotoken.encoders.mini_words import MiniWords
from audiotoken.errors import OptionError

LISTENERS = "mini, clap:ID or pe:ID"
CLASSES = {"clap": "ClapWords", "pe": "PeWords"}


def load_word_listener(spec: str, words: Sequence[str]) -> AudioTextEncoder:
    """The listener for `words` that `spec` names, one of `LISTENERS`: hub ids or folders of published models.

    Raises OptionError for another, and for words that the mini encoder does not know; CheckpointError for a model that
    cannot be loaded.
    """
    if spec == "mini":
        return MiniWords(load_network(Path(str(files("audiotoken.mini"))) / "audio_encoder"), words)
    kind, _, source = spec.partition(":")
    if kind not in CLASSES or not source:
        raise OptionError(f"Got word_encoder={spec}, expected {LISTENERS}; change it.")
    return getattr(import_module(f"audiotoken.encoders.{kind}_words"), CLASSES[kind]).from_pretrained(source, words)
