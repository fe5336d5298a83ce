"""A long measurement goes on where it was stopped, if nothing that it measures has changed since."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from untaint.errors import UntaintError

T = TypeVar("T")


def code() -> str:
    """Of all of the product's code: detectors, attacks and verdict included."""
    hasher = hashlib.sha256()
    for path in sorted(Path(str(files("untaint"))).rglob("*.py")):
        hasher.update(path.read_bytes())
    return hasher.hexdigest()[:16]


def done(log: Path, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Lines of an earlier run that hold all these facts; a line cut off in the middle is left out."""
    if not log.exists():
        return []
    found = []
    for line in log.read_text().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if facts.items() <= record.items():
            found.append(record)
    return found


def add(log: Path, record: dict[str, Any]) -> None:
    """One line more."""
    with log.open("a") as lines:
        lines.write(json.dumps(record) + "\n")


def completed(
    run: Callable[[T], dict[str, Any]], left: Iterable[T], processes: int | None, log: Path
) -> Iterator[tuple[T, dict[str, Any]]]:
    """Carry out what is left, a process a core, and hand over each record as it comes, already logged."""
    with ProcessPoolExecutor(processes) as pool:
        jobs = {pool.submit(run, item): item for item in left}
        for job in as_completed(jobs):
            add(log, job.result())
            yield jobs[job], job.result()


def safely(measured: Callable[[T], dict[str, Any]], facts: dict[str, Any], item: T) -> dict[str, Any]:
    """Facts and what was measured, or why it failed: what breaks stops no other item."""
    try:
        return known({**facts, **measured(item)})
    except UntaintError as error:
        return {**facts, "failed": str(error)}
    except Exception as error:  # noqa: BLE001 - hours of other items must not be lost to one
        return {**facts, "failed": f"{type(error).__name__}: {error}"}


def known(value: Any) -> Any:
    """NaN, which JSON has no word for, becomes null."""
    if isinstance(value, dict):
        return {key: known(each) for key, each in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
