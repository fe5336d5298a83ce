"""Walks through a pickle as its unpickler would, and makes nothing: stack and memo hold descriptions.

Every instruction is followed to the one that stops it; what it names, calls, sets and fills is held against the list by `judge`.
Source: `pickle._Unpickler` of the standard library, whose stack and memo this keeps step with.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from untaint.models.formats.allowed_torch import LEGACY_BYTES
from untaint.models.formats.judge import ALLOWED, Judge, renamed
from untaint.models.formats.opcodes import Instruction, instruction
from untaint.models.formats.values import Blob, Const, Made, Map, Ref, Seq, Unknown, Value, constant
from untaint.models.formats.window import Broken, Window


@final
@dataclass(frozen=True)
class Around:
    """What a format adds to pickles.

    persistent: what a persistent id stands for, None = it has no such ids.  inline: where the pickle goes on when numbers lie between
    its instructions, as joblib writes them, None = they do not.  held: looks into a file that lies in the pickle as bytes.
    """

    persistent: Callable[[Value], Value | None] = lambda _value: None
    inline: Callable[[Made, int], int | None] = lambda _made, _at: None
    held: Callable[[Value, int], None] = lambda _value, _at: None


_NAME: Final = re.compile(r"[A-Za-z_][\w.]*")
_SHORT: Final = 4096
"""Bytes of a text that is kept to be compared: names of tensors and modules are shorter."""
_DIGITS: Final = 4096
_HIGHEST: Final = 5
_SPARSE: Final = 64
_ROOM: Final = 1 << 16
"""Places of the memo are numbered in order; the unpickler in C holds an array up to the highest, and 2³² of them are 64 GB."""
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_EMPTY: Final = {"EMPTY_TUPLE": "tuple", "EMPTY_LIST": "list", "EMPTY_SET": "set"}
_MARKED: Final = {"TUPLE": "tuple", "LIST": "list", "FROZENSET": "frozenset"}
_NUMBERS: Final = {"BININT": 4, "BININT1": 1, "BININT2": 2}
_PLAIN: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_MEMO: Final = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_TEXTS: Final = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"}


@final
class Machine:
    """One run over one pickle."""

    def __init__(self, content: Window, judge: Judge, around: Around) -> None:
        self._content, self._judge, self._around = content, judge, around
        self._stack: list[Value] = []
        self._marks: list[list[Value]] = []
        self._memo: dict[int, Value] = {}
        self._protocol = 0
        self._next = 0
        self.unlisted = 0
        """Calls of something that has a proper name and is not on the list."""
        self._handlers: dict[str, Callable[[Instruction], None]] = self._table()

    def run(self, at: int) -> tuple[Value, int]:
        """What the pickle at `at` would give, and where it ends. Raises Broken where its unpickler would give up."""
        self._next = at
        content, notes, handlers = self._content, self._judge.notes, self._handlers
        while True:
            notes.worked()
            step = instruction(content, self._next)
            self._next = step.end
            if step.name == "STOP":
                return self._pop(), step.end
            handlers[step.name](step)

    def _table(self) -> dict[str, Callable[[Instruction], None]]:
        many: dict[str, Callable[[Instruction], None]] = {
            **dict.fromkeys(_PLAIN, lambda step: self._push(Const(_PLAIN[step.name]))),
            **dict.fromkeys(_NUMBERS, self._number),
            **dict.fromkeys(("INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), self._other_number),
            **dict.fromkeys(_TEXTS, self._text),
            **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), self._bytes),
            **dict.fromkeys(_TUPLES, self._short_tuple),
            **dict.fromkeys(_EMPTY, lambda step: self._push(Seq(_EMPTY[step.name]))),
            **dict.fromkeys(_MARKED, lambda step: self._push(Seq(_MARKED[step.name], self._marked()))),
            **dict.fromkeys(_MEMO, self._remember),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), self._recall),
            **dict.fromkeys(("APPEND", "APPENDS", "ADDITEMS"), self._append),
            **dict.fromkeys(("SETITEM", "SETITEMS"), self._set_items),
            **dict.fromkeys(("REDUCE", "NEWOBJ", "NEWOBJ_EX", "INST", "OBJ"), self._call),
            **dict.fromkeys(("EXT1", "EXT2", "EXT4"), self._extension),
            **dict.fromkeys(("PERSID", "BINPERSID"), self._reference),
            **dict.fromkeys(("NEXT_BUFFER", "READONLY_BUFFER"), self._buffer),
        }
        return many | {
            "PROTO": self._proto,
            "FRAME": self._frame,
            "MARK": lambda _step: self._mark(),
            "POP": lambda _step: self._drop(),
            "POP_MARK": lambda _step: self._dropped(),
            "DUP": lambda _step: self._push(self._top()),
            "EMPTY_DICT": lambda _step: self._push(Map()),
            "DICT": lambda _step: self._push(Map(self._paired(self._marked()))),
            "GLOBAL": self._global,
            "STACK_GLOBAL": self._stack_global,
            "BUILD": self._build,
        }

    # ------------------------------------------------------------------ stack

    def _push(self, value: Value) -> None:
        self._stack.append(value)

    def _pop(self) -> Value:
        if not self._stack:
            raise Broken("it takes from an empty stack")
        return self._stack.pop()

    def _top(self) -> Value:
        if not self._stack:
            raise Broken("it takes from an empty stack")
        return self._stack[-1]

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _marked(self) -> list[Value]:
        if not self._marks:
            raise Broken("it goes back to a mark that is not there")
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _dropped(self) -> None:
        self._marked()

    def _drop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._dropped()

    def _paired(self, items: list[Value]) -> list[tuple[Value, Value]]:
        if len(items) % 2:
            raise Broken("a dict has a key without a value")
        return list(zip(items[::2], items[1::2], strict=True))

    # ------------------------------------------------------------------ values

    def _number(self, step: Instruction) -> None:
        raw = self._content.get(step.start, step.size)
        self._push(Const(int.from_bytes(raw, "little", signed=step.name == "BININT")))

    def _other_number(self, step: Instruction) -> None:
        if step.size > _DIGITS:
            raise Broken(f"a number has {step.size:,} digits")
        self._judge.notes.worked(step.size >> 6)
        raw = self._content.get(step.start, step.size)
        if step.name in {"LONG1", "LONG4"}:
            self._push(Const(int.from_bytes(raw, "little", signed=True)))
            return
        if step.name == "BINFLOAT":
            self._push(Const(0.0))  # no rule asks what it is
            return
        if step.name == "INT" and raw.strip() in {b"00", b"01"}:
            self._push(Const(raw.strip() == b"01"))
            return
        try:
            self._push(Const(float(raw) if step.name == "FLOAT" else int(raw.rstrip().removesuffix(b"L"))))
        except ValueError as error:
            raise Broken(f"the number at {step.at:,} is none") from error

    def _text(self, step: Instruction) -> None:
        if step.size > _SHORT:
            self._push(Blob(step.start, step.size, text=True))
            return
        self._judge.notes.worked(step.size >> 6)
        raw = self._content.get(step.start, step.size)
        try:
            if step.name == "UNICODE":
                text = raw.decode("raw-unicode-escape")
            elif step.name == "STRING":
                text = codecs.escape_decode(_unquoted(raw))[0].decode("latin-1")
            elif "UNICODE" in step.name:
                text = raw.decode("utf-8", "surrogatepass")
            else:
                text = raw.decode("latin-1")
        except ValueError as error:
            raise Broken(f"the text at {step.at:,} is none") from error
        self._push(Const(text))

    def _bytes(self, step: Instruction) -> None:
        self._push(Blob(step.start, step.size))

    def _buffer(self, step: Instruction) -> None:
        self._judge.unresolved(step.at, "it takes bytes from outside the file")
        if step.name == "NEXT_BUFFER":
            self._push(Unknown())

    def _short_tuple(self, step: Instruction) -> None:
        items = [self._pop() for _ in range(_TUPLES[step.name])]
        self._push(Seq("tuple", items[::-1]))

    def _remember(self, step: Instruction) -> None:
        index = len(self._memo) if step.name == "MEMOIZE" else self._index(step)
        if index > _SPARSE * (len(self._memo) + 1) + _ROOM:
            raise Broken(f"it remembers at place {index:,}, for which its unpickler makes room", "oversize")
        self._memo[index] = self._top()

    def _recall(self, step: Instruction) -> None:
        index = self._index(step)
        if index not in self._memo:
            raise Broken(f"it recalls {index:,}, which it did not remember")
        self._push(self._memo[index])

    def _index(self, step: Instruction) -> int:
        raw = self._content.get(step.start, step.size)
        if "BIN" in step.name:
            return int.from_bytes(raw, "little")
        if not raw.strip().isdigit() or len(raw) > 20:
            raise Broken(f"a place of the memo at {step.at:,} is no number")
        return int(raw)

    # ------------------------------------------------------------------ names and calls

    def _proto(self, step: Instruction) -> None:
        self._protocol = self._content.get(step.start, 1)[0]
        if self._protocol > _HIGHEST:
            raise Broken(f"it says it is of protocol {self._protocol}")

    def _frame(self, step: Instruction) -> None:
        length = self._content.number(step.start, step.size)
        if length > self._content.size - step.end:
            raise Broken(
                f"a frame at {step.at:,} claims {length:,} bytes, and {self._content.size - step.end:,} follow", "oversize"
            )

    def _named(self, module: str, name: str, at: int) -> Ref:
        found = renamed(module, name) if self._protocol < 3 else (module, name)
        ref = Ref(*found, f"{module}.{name}")
        self._judge.notes.worked(4 + (len(ref.raw) >> 5))  # what is kept of a name takes more than a number
        self._judge.named(ref, at)
        return ref

    def _global(self, step: Instruction) -> None:
        self._push(self._named(*self._two_lines(step), step.at))

    def _two_lines(self, step: Instruction) -> tuple[str, str]:
        first = self._content.get(step.start, step.size)
        second = self._content.get(step.second, step.end - 1 - step.second)
        return first.decode("utf-8", "backslashreplace"), second.decode("utf-8", "backslashreplace")

    def _stack_global(self, step: Instruction) -> None:
        name, module = constant(self._pop()), constant(self._pop())
        if isinstance(name, str) and isinstance(module, str):
            self._push(self._named(module, name, step.at))
            return
        self._judge.unresolved(step.at, "it imports a name that it computes")
        self._push(Unknown())

    def _call(self, step: Instruction) -> None:
        if step.name == "INST":
            made = Made(self._named(*self._two_lines(step), step.at), self._marked())
        elif step.name == "OBJ":
            items = self._marked()
            if not items:
                raise Broken(f"it makes an object of nothing at {step.at:,}")
            made = Made(items[0], items[1:])
        else:
            made = self._applied(step)
        self._judge.called(made, step.at)
        if isinstance(made.target, Ref) and made.target.key not in ALLOWED and _NAME.fullmatch(str(made.target)):
            self.unlisted += 1
        if made.is_a(LEGACY_BYTES) and len(made.args) == 1:
            self._around.held(made.args[0], step.at)
        self._push(made)

    def _applied(self, step: Instruction) -> Made:
        words = self._pop() if step.name == "NEWOBJ_EX" else None
        args, target = self._pop(), self._pop()
        if words is not None and not (isinstance(words, Map) and not words.pairs):
            self._judge.unresolved(step.at, "it makes an object with arguments by name")
        if isinstance(args, Seq):
            return Made(target, list(args.items))
        self._judge.unresolved(step.at, "it calls something with arguments that it computes")
        return Made(target, [Unknown()])

    def _extension(self, step: Instruction) -> None:
        code = self._content.number(step.start, step.size)
        self._judge.notes.flaw(
            "high", "pickle-extension", self._judge.at(step.at), f"it calls for the registered extension {code}"
        )
        self._push(Unknown())

    def _reference(self, step: Instruction) -> None:
        value = self._pop() if step.name == "BINPERSID" else Const(self._content.get(step.start, step.size).decode("latin-1"))
        found = self._around.persistent(value)
        if found is None:
            self._judge.notes.flaw(
                "high", "pickle-reference", self._judge.at(step.at), "it refers to something that the loader is to find"
            )
        self._push(found or Unknown())

    def _build(self, step: Instruction) -> None:
        state, target = self._pop(), self._top()
        self._judge.set(target, state, step.at)
        if isinstance(target, Made):
            target.state = state
            goes_on = self._around.inline(target, step.end)
            self._next = self._next if goes_on is None else goes_on

    # ------------------------------------------------------------------ content

    def _append(self, step: Instruction) -> None:
        items = [self._pop()] if step.name == "APPEND" else self._marked()
        target = self._top()
        self._judge.filled(target, "set" if step.name == "ADDITEMS" else "list", step.at)
        if isinstance(target, Seq):
            target.items.extend(items)

    def _set_items(self, step: Instruction) -> None:
        items = [self._pop(), self._pop()][::-1] if step.name == "SETITEM" else self._marked()
        target = self._top()
        self._judge.filled(target, "map", step.at)
        if isinstance(target, Map):
            target.pairs.extend(self._paired(items))
        elif isinstance(target, Made):
            target.added.pairs.extend(self._paired(items))


def _unquoted(raw: bytes) -> bytes:
    text = raw.rstrip()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in {b"'", b'"'}:
        raise Broken("a text has no quotes")
    return text[1:-1]
