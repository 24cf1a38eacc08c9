"""Torch on one thread, and processes that start at once."""

import multiprocessing

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def forked(monkeypatch):
    """Processes that benchmarks ask for come from this one, which has imported everything, not from a fresh one."""
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: fork)
