"""Processes for work on many files: they end with the command that started them."""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor

LOOK_EVERY_S = 0.5


def start_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of fresh processes: a fork would copy the locks of our threads."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, _begin, (os.getpid(),))


def _begin(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the command, which ends us
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A killed command cannot end its processes, and they would wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os._exit(1)
