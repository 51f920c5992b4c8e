"""Processes for work on many files: they end with the command that started them."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
LOOK_EVERY_S = 0.5
TRIED = 32  # items that are done here first, to see what one takes
TASK_S = 0.3  # of work in one task: handing over costs milliseconds
WORTH_S = 3.0  # of work left: less is not worth the start of processes


def spread(work: Callable[[A], B], items: Sequence[A], workers: int) -> Iterator[tuple[A, B]]:
    """Each item with its result, as they end; `work` is picklable. Few or quick items stay here."""
    began = time.perf_counter()
    first = items if workers < 2 else items[:TRIED]
    for item in first:
        yield item, work(item)
    rest = items[len(first) :]
    if not rest:
        return
    each = (time.perf_counter() - began) / len(first)
    if each * len(rest) < WORTH_S:
        for item in rest:
            yield item, work(item)
        return
    size = max(1, min(int(TASK_S / each), -(-len(rest) // (2 * workers))))
    tasks = (rest[start : start + size] for start in range(0, len(rest), size))
    yield from _spread_tasks(work, tasks, workers)


def _spread_tasks(
    work: Callable[[A], B], tasks: Iterator[Sequence[A]], workers: int
) -> Iterator[tuple[A, B]]:
    pool = start_pool(workers)
    waiting: dict[Future[list[B]], Sequence[A]] = {}
    try:
        for task in tasks:
            waiting[pool.submit(_do, work, task)] = task
            if len(waiting) < 2 * workers:
                continue
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield from zip(waiting.pop(future), future.result(), strict=True)
        for future, task in waiting.items():
            yield from zip(task, future.result(), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _do(work: Callable[[A], B], items: Sequence[A]) -> list[B]:
    return [work(item) for item in items]


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
