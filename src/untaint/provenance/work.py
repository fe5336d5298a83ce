"""Pieces of work done side by side, their results in order. Processes parse; threads hash what is large, as hashing lets them run."""

import multiprocessing
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TypeAlias

from untaint.provenance.tasks import Done, Task

_ALONE = 0.5
"""Seconds of work after which other processes are worth the half second each of them takes to start."""

_Waiting: TypeAlias = deque["Future[Done] | Done"]


def in_order(tasks: Iterator[Task], processes: int) -> Iterator[Done]:
    """The result of every task, in the order of the tasks, some of them ahead of time. processes: 1 = this one alone, with threads."""
    ahead, waiting, began = 2 * processes + 2, _Waiting(), time.process_time()
    pool: ProcessPoolExecutor | None = None
    threads = ThreadPoolExecutor(processes)
    try:
        for task in tasks:
            if task.cost == "light":
                waiting.append(threads.submit(task.run))
            elif task.cost == "none" or processes == 1 or time.process_time() - began < _ALONE:
                waiting.append(task.run())
            else:
                if pool is None:  # spawned: a process that was forked beside threads may hang
                    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
                waiting.append(pool.submit(_run, task))
            while len(waiting) > ahead:
                yield _result(waiting)
        while waiting:
            yield _result(waiting)
    finally:
        threads.shutdown(cancel_futures=True)
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _run(task: Task) -> Done:
    return task.run()


def _result(waiting: _Waiting) -> Done:
    first = waiting.popleft()
    return first if isinstance(first, Done) else first.result()
