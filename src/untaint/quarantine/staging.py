"""All or nothing: write beside the target, put it in place at the end, leave nothing behind on a crash, Ctrl-C or a full disk."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from untaint.errors import CannotWrite

ADVICE = {
    errno.ENOSPC: "Free some space, or name an output folder on another disk.",
    errno.EDQUOT: "Free some space, or name an output folder on another disk.",
    errno.EROFS: "Name an output folder on a disk that can be written.",
    errno.EACCES: "Name an output folder you are allowed to write to.",
    errno.EPERM: "Name an output folder you are allowed to write to.",
}
INSTEAD = "Name another output folder."


@contextmanager
def staged(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A new folder beside `target` that becomes `target` when the block ends well, and is removed when it does not.

    replace: an existing target is replaced; without it the target must be absent or empty.
    Raises CannotWrite when the folder or its content cannot be written.
    """
    target = target.resolve()
    work = _beside(target, "new")
    with _as_cannot_write(target):
        _refuse_read_only(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        _claim(work)
        try:
            yield work
            _swap(work, target) if replace else work.replace(target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise


def recover(target: Path) -> None:
    """Put the old folder back if a crash came between the two steps of a swap."""
    target = target.resolve()
    old = _beside(target, "old")
    if old.is_dir() and not target.exists():
        old.replace(target)


def _beside(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.untaint-{kind}")


def _claim(work: Path) -> None:
    try:
        work.mkdir()
    except FileExistsError as error:
        message = f"{work} exists: another run is writing here, or one was killed."
        raise CannotWrite(message, advice="If no other run is at work, delete that folder and try again.") from error


def _refuse_read_only(target: Path) -> None:
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))


def _swap(work: Path, target: Path) -> None:
    old = _beside(target, "old")
    shutil.rmtree(old, ignore_errors=True)
    target.replace(old)
    try:
        work.replace(target)
    except BaseException:
        old.replace(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _as_cannot_write(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        where = f" ({error.filename})" if error.filename else ""
        advice = ADVICE.get(error.errno or 0, INSTEAD)
        raise CannotWrite(f"cannot write {target}: {why}{where}. Nothing was left behind.", advice=advice) from error
