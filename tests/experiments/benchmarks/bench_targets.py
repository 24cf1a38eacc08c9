"""Processes of the benchmark that come to no good end; a module that imports nothing heavy, as each is a fresh one."""

import os
import signal
import time


def dies(setting, row, connection):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(setting, row, connection):
    time.sleep(60)


def leaves(setting, row, connection):
    os._exit(3)
