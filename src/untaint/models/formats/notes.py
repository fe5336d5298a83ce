"""What a scan wrote down: flaws with their rule and place, what was looked into, and how much more work it may do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, final

from untaint.evidence.finding import Severity
from untaint.models.formats.window import Broken, Window

Kind = Literal["code", "malformed"]

MOST_OPERATIONS = 8_000_000
"""Units of work for one file, about one for each instruction, field or entry and each 64 bytes that are kept: half a minute, and half a
gigabyte. The index of the largest published models takes a few hundred thousand."""
MOST_INFLATED = 1 << 29
"""Bytes that compressed content of one file may take in memory, all together; twice that while they are put together."""
MOST_DEPTH = 4
"""Archives within archives: a checkpoint in a model archive in a bundle is three."""
MOST_FLAWS = 500
"""Different flaws that are kept of one file; more help nobody."""

_AGAIN = "Take the file from its source again, and compare its digest with what the source publishes."
_WEIGHTS = "Do not load it. Ask for the weights alone, as safetensors; `untaint convert` makes that of a file that passes."
_REVIEW = "Read that code before it runs, or load without it."

RULES: Mapping[str, tuple[Kind, str]] = {
    "pickle-global": ("code", _WEIGHTS),
    "pickle-call": ("code", _WEIGHTS),
    "pickle-state": ("code", _WEIGHTS),
    "pickle-unresolved": ("code", _WEIGHTS),
    "pickle-extension": ("code", _WEIGHTS),
    "pickle-reference": ("code", _WEIGHTS),
    "second-reading": ("code", _WEIGHTS),
    "object-array": ("code", "Save plain numbers; load with allow_pickle=False."),
    "torchscript": ("code", "It carries a program of its own. Ask for the weights alone."),
    "native-code": ("code", "A model needs no program beside it. Do not run it."),
    "python-code": ("code", _REVIEW),
    "remote-code": ("code", "Load with trust_remote_code=False, or read that code and pin its revision."),
    "named-code": ("code", "It names what a loader will import and call. Check each name, or build the objects yourself."),
    "template": ("code", "Render it in a sandbox only, or write the template yourself."),
    "keras-object": ("code", "Keep safe_mode on, and rebuild the layer in code of your own."),
    "graph-operation": (
        "code",
        "The graph touches files, the network or Python when it runs. Ask for the weights, and rebuild it.",
    ),
    "outside-file": ("code", "It reads a file outside the model. Ask for a model in one piece."),
    "custom-operator": ("code", "It needs a library of somebody's to run. Check where that comes from."),
    "pickle-stream": ("malformed", _AGAIN),
    "malformed": ("malformed", _AGAIN),
    "truncated": ("malformed", _AGAIN),
    "trailing-data": ("malformed", _AGAIN),
    "checksum": ("malformed", _AGAIN),
    "oversize": ("malformed", "It claims more than a file of its kind holds. Do not open it without limits of memory and disk."),
    "bomb": ("malformed", "It would grow without measure when opened. Do not unpack it."),
    "archive-trick": (
        "malformed",
        "Programs read this archive in different ways, so that a scanner sees another file than the loader.",
    ),
    "path": ("malformed", "Do not unpack it: it would write or read outside its folder."),
    "link": ("malformed", "Replace the link by the file it should be."),
    "nested-archive": ("malformed", "Unpack it in an empty folder, and scan that."),
    "wrong-name": ("malformed", "A loader that goes by the name would treat it as what it is not. Rename it, or do not use it."),
    "unread": ("malformed", "Nothing is known of it. Look at it another way, or leave it out."),
}
"""Of each rule: what kind of finding it makes, and what to do."""


@final
@dataclass(frozen=True)
class Flaw:
    """Something found in a file. where: file, member of an archive, place.  count: how often the same was found."""

    severity: Severity
    rule: str
    where: str
    what: str
    count: int = 1

    @property
    def kind(self) -> Kind:
        """code: what loading would run.  malformed: a file that is not what it says."""
        return RULES[self.rule][0]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return RULES[self.rule][1]


Look = Callable[[Window, str, "Notes", int], None]
"""Looks at content of whatever format, found in something else: content, where, notes, depth."""


@final
@dataclass
class Notes:
    """Of one file, what lies in it included.

    look: for content in content.  beside: names of the files in the same folder and below.
    """

    look: Look
    beside: frozenset[str] = frozenset()
    flaws: dict[tuple[str, str, str], Flaw] = field(default_factory=dict)
    formats: list[str] = field(default_factory=list)
    riding: dict[str, None] = field(default_factory=dict)
    operations: int = MOST_OPERATIONS
    inflated: int = MOST_INFLATED

    def flaw(self, severity: Severity, rule: str, where: str, what: str) -> None:
        """Write one down; the same words of the same rule in one place are one flaw, counted."""
        key = (rule, where.partition(" byte ")[0], what)
        if (found := self.flaws.get(key)) is not None:
            self.flaws[key] = Flaw(found.severity, rule, found.where, what, found.count + 1)
        elif len(self.flaws) < MOST_FLAWS:
            self.flaws[key] = Flaw(severity, rule, where, what)

    def rides(self, where: str) -> None:
        """Something that runs, or is read, comes along."""
        if len(self.riding) < MOST_FLAWS:
            self.riding[where[:200]] = None

    def worked(self, operations: int = 1) -> None:
        """Count work. Raises Broken when there was too much."""
        self.operations -= operations
        if self.operations < 0:
            raise Broken(f"it takes more than {MOST_OPERATIONS:,} steps to follow, and was not read to its end", "oversize")

    def grew(self, size: int) -> None:
        """Count inflated bytes. Raises Broken when there were too many."""
        self.inflated -= size
        if self.inflated < 0:
            raise Broken(
                f"what it holds takes more than {MOST_INFLATED:,} bytes inflated, and was not read to its end", "oversize"
            )

    def inside(self, content: Window, where: str, depth: int) -> None:
        """Look at content that lies in other content."""
        if depth >= MOST_DEPTH:
            self.flaw("high", "nested-archive", where, f"archives are nested more than {MOST_DEPTH} deep; not looked into")
            return
        self.look(content, where, self, depth + 1)
