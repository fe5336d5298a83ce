"""What changed between two versions of a data set, sample by sample and file by file, in words and numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, final, get_args

What: TypeAlias = Literal["changed", "added", "removed"]
Part: TypeAlias = Literal["content", "fields", "label", "source", "transform", "split", "order"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
"""Of a sample. fields: those of its record that play none of the other roles.  order: its place among the samples that stayed."""
SHOWN = 1000
"""Changes that are kept one by one; all are counted."""
_WORDS: Mapping[str, tuple[str, str]] = {
    "label": ("label changed", "labels changed"),
    "content": ("sample changed in content", "samples changed in content"),
    "fields": ("sample changed in another field of its record", "samples changed in another field of their records"),
    "source": ("sample now claimed from another source", "samples now claimed from another source"),
    "transform": ("sample now said to be transformed otherwise", "samples now said to be transformed otherwise"),
    "split": ("sample moved to another split", "samples moved to another split"),
    "added": ("sample added", "samples added"),
    "removed": ("sample removed", "samples removed"),
    "order": ("sample moved to another place", "samples moved to another place"),
}
_FILE_WORDS: Mapping[str, tuple[str, str]] = {
    "columns": ("first line names other columns", "first lines name other columns"),
    "content": ("file changed in bytes, not in its samples", "files changed in bytes, not in their samples"),
    "mode": ("mode changed", "modes changed"),
    "target": ("link leads elsewhere", "links lead elsewhere"),
    "kind": ("name is another kind of thing", "names are another kind of thing"),
    "renamed": ("file renamed", "files renamed"),
    "size": ("file of another size", "files of another size"),
    "swapped": ("file now holds what another held", "files now hold what others held"),
    "added": ("file added beside the samples", "files added beside the samples"),
    "removed": ("file removed beside the samples", "files removed beside the samples"),
}


@final
@dataclass(frozen=True)
class SampleChange:
    """One sample. parts: that changed.  path, url: where it is, or was.  before, after: of each part that is a word."""

    what: What
    path: str
    parts: tuple[Part, ...] = ()
    before: Mapping[str, str | None] = field(default_factory=dict)
    after: Mapping[str, str | None] = field(default_factory=dict)
    id: str = ""
    old_path: str | None = None
    url: str | None = None


@final
@dataclass(frozen=True)
class FileChange:
    """One name below the root.

    what: content, columns, size, swapped, mode, target, kind, renamed, added or removed.  before, after: in words.
    """

    what: str
    name: str
    before: str = ""
    after: str = ""


@final
@dataclass
class Changes:
    """Everything that changed. counts: of samples, by what; of several parts of one sample each counts.  unclear: not told apart."""

    samples: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    examples: list[SampleChange] = field(default_factory=list)
    file_examples: list[FileChange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unclear: int = 0
    reading: tuple[str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self.samples or self.files or self.unclear or self.reading)

    def add(self, change: SampleChange) -> None:
        """One sample."""
        self.samples.update(change.parts or (change.what,))
        if len(self.examples) < SHOWN:
            self.examples.append(change)

    def add_file(self, change: FileChange) -> None:
        """One file."""
        self.files[change.what] += 1
        if len(self.file_examples) < SHOWN:
            self.file_examples.append(change)

    def lines(self, shown: int = 3) -> list[str]:
        """What changed in words, a line a kind, with the first few of each."""
        found = [
            f"{count(self.samples[what], *words)}{self._some(what, shown)}"
            for what, words in _WORDS.items()
            if self.samples[what]
        ]
        found += [
            f"{count(self.files[what], *words)}{self._some_files(what, shown)}"
            for what, words in _FILE_WORDS.items()
            if self.files[what]
        ]
        if self.unclear:
            found.append(f"{self.unclear:,} more rows changed; they are too many to be told apart")
        if self.reading is not None:
            found.append(f"the data are now read in another way: {self.reading[1]}; sealed: {self.reading[0]}")
        return found

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        samples = [
            {
                "what": c.what,
                "path": c.path,
                "old_path": c.old_path,
                "id": c.id,
                "parts": list(c.parts),
                "before": dict(c.before),
                "after": dict(c.after),
            }
            for c in self.examples
        ]
        files = [{"what": c.what, "name": c.name, "before": c.before, "after": c.after} for c in self.file_examples]
        counts = {"samples": dict(self.samples), "files": dict(self.files), "unclear": self.unclear}
        return {"counts": counts, "samples": samples, "files": files, "reading": self.reading, "notes": self.notes}

    def _some(self, what: str, shown: int) -> str:
        chosen = [change for change in self.examples if what in (change.parts or (change.what,))]
        return _listed([_told(change, what) for change in chosen[:shown]], self.samples[what])

    def _some_files(self, what: str, shown: int) -> str:
        chosen = [change for change in self.file_examples if change.what == what]
        return _listed([_told_file(change) for change in chosen[:shown]], self.files[what])


def count(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def _listed(told: Sequence[str], total: int) -> str:
    more = f", and {total - len(told):,} more" if total > len(told) else ""
    return f": {', '.join(told)}{more}" if told else ""


def _told(change: SampleChange, what: str) -> str:
    path = change.path if change.old_path in {None, change.path} else f"{change.old_path}, now {change.path},"
    if what not in change.before:
        return path
    return f"{path} {change.before[what] or 'none'} → {change.after[what] or 'none'}"


def _told_file(change: FileChange) -> str:
    if not change.before and not change.after:
        return change.name
    return (
        f"{change.name} ({change.after or change.before})"
        if not (change.before and change.after)
        else f"{change.name} {change.before} → {change.after}"
    )
