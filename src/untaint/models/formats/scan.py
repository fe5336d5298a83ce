"""A model file, or a folder of files, looked at byte by byte: what loading would run, and whether it is what it says."""

import mmap
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from untaint.errors import BadInput
from untaint.evidence.finding import SEVERITIES, Severity
from untaint.models.formats import contents, saved_model
from untaint.models.formats.notes import Flaw, Notes
from untaint.models.formats.window import Broken, Window

_MOST_FILES: Final = 100_000
_BLOB: Final = re.compile(r"(?:\.\./)+blobs/[0-9a-f]{40,64}")
"""Where a snapshot of the Hugging Face cache keeps its files: a link to a blob named by its digest."""


@final
@dataclass(frozen=True)
class SeenFile:
    """path: relative to what was scanned.  format: by its bytes.  size: in bytes."""

    path: str
    format: str
    size: int


@final
@dataclass(frozen=True)
class Scanned:
    """What a scan of a file or folder found.

    files: all there are.  flaws: worst first.  riding: code and templates that come along, whether or not something is wrong with them.
    """

    files: tuple[SeenFile, ...]
    flaws: tuple[Flaw, ...]
    riding: tuple[str, ...] = ()

    @property
    def formats(self) -> tuple[str, ...]:
        """Formats of models found, each once."""
        return tuple(dict.fromkeys(file.format for file in self.files if file.format in contents.WEIGHTS))

    @property
    def nothing(self) -> bool:
        """Whether there was nothing that could be called a model: that is no pass."""
        return not self.formats

    def at_least(self, severity: str) -> tuple[Flaw, ...]:
        """The flaws at least as severe."""
        least = SEVERITIES.index(severity)
        return tuple(flaw for flaw in self.flaws if SEVERITIES.index(flaw.severity) >= least)


def scan(path: Path) -> Scanned:
    """Look at a model file, or at every file of a folder. Nothing in them is run, and none of their libraries is used.

    Memory stays below 1.5 GiB for any file (pages of the file itself, which the system takes back, left out). Beside one read of it,
    following what it says takes half a minute at most, on a usual core.
    Raises BadInput for a path that is not there or cannot be read.
    """
    if not path.exists():
        raise BadInput(f"there is no {path}.", advice="Give a model file, or a folder with one.")
    files: list[SeenFile] = []
    flaws: list[Flaw] = []
    riding: dict[str, None] = {}
    found = list(_listed(path, flaws))
    beside = frozenset(name for name, _ in found)
    for name, file in found:
        seen, notes = _file(file, name, beside)
        files.append(seen)
        flaws += notes.flaws.values()
        riding |= notes.riding
    flaws.sort(key=lambda flaw: -SEVERITIES.index(flaw.severity))
    return Scanned(tuple(files), tuple(flaws), tuple(riding))


def _listed(path: Path, flaws: list[Flaw]) -> Iterator[tuple[str, Path]]:
    """Files by their name relative to the folder; links that lead out, and what is no file, are flaws."""
    if not path.is_dir():
        if not path.is_file():
            raise BadInput(f"{path} is no file and no folder.", advice="Give a model file, or a folder with one.")
        yield path.name, path
        return
    root = path.resolve()
    count = 0
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names) + [each for each in folders if (Path(folder) / each).is_symlink()]:
            count += 1
            if count > _MOST_FILES:
                raise BadInput(f"{path} holds more than {_MOST_FILES:,} files.", advice="Give the folder of one model.")
            file = Path(folder) / name
            relative = file.relative_to(path).as_posix()
            if _is_usual(file, relative, root, flaws):
                yield relative, file


def _is_usual(file: Path, relative: str, root: Path, flaws: list[Flaw]) -> bool:
    """Whether this is a file to look at."""
    if file.is_symlink():
        target = os.readlink(file)
        resolved = file.resolve()
        inside = resolved.is_relative_to(root)
        if not inside and not (_BLOB.fullmatch(target) and resolved.is_file()):
            flaws.append(Flaw("high", "link", relative, f"it is a link out of the folder, to {target[:120]!r}"))
            return False
        if not resolved.is_file():
            flaws.append(Flaw("medium", "link", relative, f"it is a link to {target[:120]!r}, which is no file"))
            return False
    try:
        mode = file.stat().st_mode
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.", advice="Check its permissions.") from error
    if not stat.S_ISREG(mode):
        flaws.append(Flaw("high", "link", relative, "it is a device, a pipe or a socket"))
        return False
    return True


def _file(path: Path, name: str, beside: frozenset[str]) -> tuple[SeenFile, Notes]:
    """Look at one file."""
    folder = name.rpartition("/")[0]
    near = frozenset(
        other[len(folder) + 1 if folder else 0 :] for other in beside if other.startswith(f"{folder}/" if folder else "")
    )
    notes = Notes(contents.look, near)
    kind, size = "unread", 0
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                return SeenFile(name, "empty", 0), notes
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                kind = _looked(Window(content, 0, size), name, notes)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", advice="Check its permissions.") from error
    return SeenFile(name, kind, size), notes


def _looked(content: Window, name: str, notes: Notes) -> str:
    contents.look(content, name, notes, 0)
    kind = notes.formats[0] if notes.formats else "unknown"
    if kind == "unknown":
        kind = _by_neighbour(content, name, notes)
    if name.endswith((".pyc", ".pyd", ".so", ".dll", ".dylib", ".exe")) and kind != "program":
        notes.flaw("high", "native-code", name, "compiled code lies with the model")
    elif not contents.named_well(name, kind):
        severity: Severity = "high" if kind in contents.PICKLED or kind == "unknown" else "medium"
        notes.flaw(severity, "wrong-name", name, f"its name promises something else than it is ({kind})")
    elif kind == "unknown":
        notes.flaw("low", "unread", name, "it is of no format that is known, and was not looked into")
    return kind


def _by_neighbour(content: Window, name: str, notes: Notes) -> str:
    """Parts of a SavedModel that nothing in them tells from other bytes: their loader knows them by their names."""
    last = name.rpartition("/")[2]
    if last == "fingerprint.pb" and "saved_model.pb" in notes.beside:
        return "tensorflow-fingerprint"
    if last == "keras_metadata.pb":
        try:
            saved_model.scan_metadata(content, name, notes)
        except Broken as error:
            notes.flaw("high", error.rule, name, str(error))
        return "keras-metadata"
    numbers = re.fullmatch(r"(.+)\.data-\d{5}-of-\d{5}", last)
    return "tensorflow-numbers" if numbers and f"{numbers[1]}.index" in notes.beside else "unknown"
