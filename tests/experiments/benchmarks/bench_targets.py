"""Processes of the benchmark that come to no good end; a module that imports nothing heavy, as each is a fresh one."""

import os
import signal
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class LightRow:
    """What `run_all` reads of a row; the process that gets it need not import torch."""

    way: str
    batch: int = 4


def dies(setting, row, connection):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(setting, row, connection):
    time.sleep(60)


def leaves(setting, row, connection):
    os._exit(3)
