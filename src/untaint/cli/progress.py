"""Progress on stderr: a bar per step on a terminal, nothing when output goes elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from untaint.nets.progress import Progress as Report


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[Report]:
    """A callback (what, done, total) that draws bars."""
    if quiet or not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for task in tasks.values():
                    bars.update(task, visible=False)
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield report


@contextmanager
def step(what: str, *, quiet: bool = False) -> Iterator[None]:
    """A spinner for work whose length is not known beforehand."""
    with shown(quiet=quiet) as report:
        report(what, 0, 1)
        yield
