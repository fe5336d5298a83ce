"""Pickles, one or several after another, and joblib's, which keep arrays between the instructions."""

import contextlib
from dataclasses import dataclass, field
from math import prod
from typing import Final, final

from untaint.models.formats.allowed import ENCODE
from untaint.models.formats.allowed_numpy import WRAPPER, has_objects, named, size_of
from untaint.models.formats.judge import Judge
from untaint.models.formats.machine import Around, Machine
from untaint.models.formats.notes import Notes
from untaint.models.formats.opcodes import instruction
from untaint.models.formats.values import Blob, Const, Made, Value, constant, whole, wholes
from untaint.models.formats.window import Broken, Window

_NAMES: Final = {"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
_CALLS: Final = {"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "EXT1", "EXT2", "EXT4"}
_FIRST: Final = 100_000
"""Instructions that are followed to see whether bytes are a pickle at all."""
_MOST_TEXT: Final = 1 << 26
_MOST_PAD: Final = 255
_MOST_PICKLES: Final = 1000


def is_pickle(content: Window, at: int = 0) -> bool:
    """Whether an unpickler would do something with bytes that have no signature of another format.

    It would if they begin with a protocol, or are instructions to a stop at their very end, or name and call something before they
    make no sense: what ran before the nonsense has run.
    """
    named = False
    place, last = at, ""
    try:
        for _ in range(_FIRST):
            step = instruction(content, place)
            if step.name in _NAMES and step.second and not _is_name(content, step.start, step.end - 1):
                return False
            named = named or step.name in _NAMES
            if named and step.name in _CALLS:
                return True
            place, last = step.end, step.name
            if last == "STOP":
                break
    except Broken:
        return content.get(at, 1) == b"\x80" and last != "" if content.size > at else False
    return place == content.size or content.get(at, 1) == b"\x80" or last != "STOP"


def acts(content: Window) -> bool:
    """Whether an unpickler that is given these bytes, whatever they are meant to be, would call something before they make no sense."""
    notes = Notes(lambda *_: None, operations=_FIRST)
    machine = Machine(content, Judge(notes, ""), Around())
    with contextlib.suppress(Broken):
        machine.run(0)
    return machine.unlisted > 0


def _is_name(content: Window, start: int, end: int) -> bool:
    names = content.get(start, end - start).split(b"\n")
    return all(name and all(chr(byte).isalnum() or byte in b"._" for byte in name) for name in names)


@final
@dataclass(frozen=True)
class Pickles:
    """The pickles of one file."""

    content: Window
    where: str
    notes: Notes
    depth: int
    arrays: dict[int, Window] = field(default_factory=dict)
    """Numbers that joblib put between the instructions, by the identity of what describes them."""

    seen: dict[int, Value] = field(default_factory=dict)
    """Bytes that were looked into, so that a pickle that names them a million times is done in time."""

    def scan(self) -> list[Value]:
        """What each would give. Flaws are in the notes; it stops at the first that cannot be followed to its end."""
        found: list[Value] = []
        at = 0
        while at < self.content.size:
            if found and not is_pickle(self.content, at):
                left = self.content.size - at
                self.notes.flaw("high", "trailing-data", self.where, f"{left:,} bytes follow the pickle")
                break
            if len(found) >= _MOST_PICKLES:
                raise Broken(f"more than {_MOST_PICKLES} pickles follow each other; the rest was not read", "oversize")
            value, at = self.one(at, Around(inline=self.inline, held=self.held))
            found.append(value)
        if len(found) > 1:
            said = f"{len(found):,} pickles follow each other: what loads the first may load the rest"
            self.notes.flaw("medium", "pickle-stream", self.where, said)
        return found

    def one(self, at: int, around: Around) -> tuple[Value, int]:
        """What one pickle would give, and where it ends."""
        return Machine(self.content, Judge(self.notes, self.where), around).run(at)

    def inline(self, made: Made, at: int) -> int | None:
        """Where a pickle of joblib goes on after an array."""
        if not made.is_a(WRAPPER):
            return None
        found = named(made.state) if made.state is not None else {}
        shape = wholes(found["shape"]) if "shape" in found else None
        if shape is None or "dtype" not in found:
            raise Broken("an array between instructions has no shape or no format")
        if is_pickle(self.content, at) and not has_objects(found["dtype"]):
            said = "the numbers of an array are a pickle to a loader that does not know joblib"
            self.notes.flaw("critical", "second-reading", self.where, said)
        if has_objects(found["dtype"]):
            return self.one(at, Around(inline=self.inline, held=self.held))[1]
        size = size_of(found["dtype"])
        if size is None:
            raise Broken("an array between instructions has a format that cannot be told")
        room = size * prod(shape)
        end = self._past(at, room, aligned=whole(found.get("numpy_array_alignment_bytes", Const(None))) is not None)
        self.arrays[id(made)] = self.content.part(end - room, room)
        return end

    def _past(self, at: int, size: int, *, aligned: bool) -> int:
        if aligned:
            pad = self.content.get(at, 1)[0]
            if self.content.get(at + 1, pad) != b"\xff" * pad:
                self.notes.flaw("high", "trailing-data", self.where, "bytes hide in the gap before an array")
            at += 1 + pad
        if size > self.content.size - at:
            raise Broken(f"an array claims {size:,} bytes, and {self.content.size - at:,} follow", "oversize")
        return at + size

    def held(self, value: Value, at: int) -> None:
        """A file of PyTorch that a plain pickle holds as bytes."""
        spelled = value.args[0] if isinstance(value, Made) and value.args else value
        if id(spelled) in self.seen:
            return
        self.seen[id(spelled)] = spelled
        place = f"{self.where} byte {at:,}".strip()
        self.notes.inside(self.bytes_of(value), f"{place}: its tensors", self.depth)

    def bytes_of(self, value: Value) -> Window:
        """Bytes as the pickle spells them out. Raises Broken where it does not."""
        if isinstance(value, Made) and value.is_a(ENCODE) and value.args:
            value = value.args[0]
        if isinstance(value, Blob) and not value.text:
            return self.content.part(value.start, value.size)
        if isinstance(value, Blob) and value.size <= _MOST_TEXT:
            text = self.content.get(value.start, value.size).decode("utf-8", "surrogatepass")
        else:
            text = str(constant(value)) if isinstance(value, Const) else ""
        try:
            return Window.of(text.encode("latin-1"))
        except UnicodeEncodeError as error:
            raise Broken("tensors in it are not bytes spelled out") from error
