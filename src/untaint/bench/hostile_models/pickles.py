"""Hostile pickles: functions that no list of forbidden names had, and ways to call that no scanner followed."""

import struct
import zlib
from collections.abc import Callable
from typing import Final

from untaint.bench.hostile_models.base import Hostile, called, checkpoint, made, named, pickled, stacked, text

_GADGETS: Final = {
    "os.system": "the first of all",
    "posix.system": "the first of all",
    "nt.system": "the first of all",
    "subprocess.Popen": "the first of all",
    "builtins.eval": "the first of all",
    "builtins.exec": "the first of all",
    "builtins.getattr": "chain of attributes",
    "builtins.__import__": "chain of attributes",
    "__builtin__.eval": "name of Python 2",
    "operator.attrgetter": "chain of attributes",
    "operator.methodcaller": "chain of attributes",
    "functools.partial": "chain of attributes",
    "pip.main": "CVE-2025-1716",
    "pip._internal.main": "CVE-2025-10157: a submodule of a name that is forbidden",
    "asyncio.unix_events._UnixSubprocessTransport._start": "CVE-2025-10157: a class within a submodule",
    "pkgutil.resolve_name": "CVE-2026-56315 and the like: one function for every other",
    "uuid._get_command_stdout": "GHSA of picklescan before 1.0.4",
    "imaplib.IMAP4_stream": "GHSA of picklescan before 1.0.4",
    "_pyrepl.pager.pipe_pager": "GHSA of picklescan before 1.0.4; private module",
    "_osx_support._find_build_tool": "GHSA of picklescan before 1.0.4; private module",
    "_aix_support._read_cmd_output": "GHSA-6ggj-6f2q-f7mx: private module",
    "logging.FileHandler": "CVE-2026-56304",
    "ctypes.CDLL": "CVE-2026-22608",
    "pydoc.locate": "CVE-2026-22608",
    "importlib.import_module": "only 'suspicious' to picklescan",
    "zipfile.ZipFile": "only 'suspicious' to picklescan",
    "torch.utils.collect_env.run": "modelscan 338",
    "multiprocessing.util.spawnv_passfds": "modelscan 338",
    "mlflow.projects.backend.local._run_entry_point": "modelscan 338",
    "numpy.testing._private.utils.runstring": "arXiv 2508.19774",
    "numpy.f2py.crackfortran.myeval": "GHSA of picklescan",
    "torch.jit.unsupported_tensor_ops.execWrapper": "GHSA of picklescan",
    "torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression": "GHSA of picklescan",
    "torch._dynamo.guards.GuardBuilder.get": "GHSA of picklescan",
    "torch.serialization.load": "loads another file",
    "torch.hub.load": "loads another repository",
    "pandas.read_pickle": "loads another file",
    "joblib.load": "loads another file",
    "cProfile.runctx": "GHSA of picklescan",
    "timeit.timeit": "GHSA of picklescan",
    "doctest.debug_script": "GHSA of picklescan",
    "code.InteractiveInterpreter.runcode": "GHSA of picklescan",
    "runpy.run_path": "arXiv 2508.19774",
    "marshal.loads": "bytecode",
    "types.FunctionType": "bytecode",
    "webbrowser.open": "reaches the network",
    "ssl.get_server_certificate": "reaches the network (GHSA of picklescan)",
    "shutil.rmtree": "deletes",
    "lib2to3.pgen2.pgen.ParserGenerator.make_label": "GHSA of picklescan",
    "idlelib.pyshell.ModifiedInterpreter.runcode": "GHSA of picklescan",
    "some_package.not_reviewed.load": "unknown package",
}


def _gadget(name: str) -> Callable[[str], bytes]:
    module, _, last = name.rpartition(".")
    return lambda canary: pickled(called(module, last, text(f"mkdir {canary}")))


def _through_memo(canary: str) -> bytes:
    names = text("decoy") + b"q\x00" + text("mkdir") + b"q\x01" + text("os") + b"q\x02000"
    return pickled(names + b"h\x02h\x01\x93(" + text(canary) + b"tR", 4)


def _swapped(canary: str) -> bytes:
    """Names pushed, doubled, and dropped, so that those before the import are not those it takes."""
    body = text("os") + text("mkdir") + text("collections") + text("OrderedDict") + b"2000"
    return pickled(body + b"\x93(" + text(canary) + b"tR", 4)


def _computed(canary: str) -> bytes:
    joined = called("_codecs", "encode", text("os"), text("latin1"))
    return pickled(called("builtins", "str", joined, text("ascii")) + text("mkdir") + b"\x93(" + text(canary) + b"tR", 4)


def _dotted(canary: str) -> bytes:
    return pickled(stacked("shutil", "os.mkdir") + b"(" + text(canary) + b"tR", 4)


def _old_text(canary: str) -> bytes:
    return f"cos\nmkdir\n(S'{canary}'\ntR.".encode()


def _escaped(canary: str) -> bytes:
    """Names spelled in escapes, which only the unpickler reads."""
    return b"\x80\x04V\\u006fs\nS'mk\\x64ir'\n\x93(" + text(canary) + b"tR."


def _inst(canary: str) -> bytes:
    return b"(" + text(canary) + b"ios\nmkdir\n."


def _obj(canary: str) -> bytes:
    return b"(" + named("os", "mkdir") + text(canary) + b"o."


def _newobj_ex(canary: str) -> bytes:
    return pickled(named("collections", "OrderedDict") + b"(" + made(canary) + b"t}\x92", 4)


def _build(canary: str) -> bytes:
    """The result of a call that is set as state: REDUCE and BUILD."""
    return pickled(
        called("collections", "OrderedDict") + b"}" + text("__setstate__") + named("os", "mkdir") + b"sb" + text(canary) + b"b"
    )


def _changed_class(canary: str) -> bytes:
    return pickled(named("collections", "OrderedDict") + b"}" + text("__reduce__") + made(canary) + b"sb")


def _module_dict(canary: str) -> bytes:
    """Puts something into the names of a module."""
    return pickled(named("numpy", "__builtins__") + text("len") + made(canary) + b"s")


def _default(canary: str) -> bytes:
    return pickled(called("collections", "defaultdict", named("os", "getcwd")) + text("a") + made(canary) + b"s")


def _two(canary: str) -> bytes:
    return pickled(b"}") + pickled(made(canary))


def _before_nonsense(canary: str) -> bytes:
    return b"\x80\x02" + made(canary) + b"\xff\xff\xff this makes no sense"


def _cut(canary: str) -> bytes:
    return b"\x80\x02" + made(canary) + b"X\xff\xff\xff\x7f"


def _after_data(canary: str) -> bytes:
    return pickled(b"}" + text("weights") + b"]s") + b"\x00" * 16 + pickled(made(canary))


def _extension(_canary: str) -> bytes:
    return pickled(b"\x82\x01(tR")


def _reference(canary: str) -> bytes:
    return pickled(text(canary) + b"Q")


def _out_of_band(_canary: str) -> bytes:
    return pickled(b"\x97", 5)


def _huge(_canary: str) -> bytes:
    return pickled(called("builtins", "bytearray", b"\x8a\x05" + (10**11).to_bytes(5, "little")))


def _huge_array(_canary: str) -> bytes:
    shape = b"\x8a\x05" + (10**11).to_bytes(5, "little") + b"\x85"
    return pickled(called("numpy.core.multiarray", "_reconstruct", named("numpy", "ndarray"), shape, text("b")))


def _huge_memo(_canary: str) -> bytes:
    return pickled(b"}r" + struct.pack("<I", 0xFFFFFFFF))


def _many(canary: str) -> bytes:
    """The call stands behind so many instructions that a scanner with a limit of its own passes it."""
    return pickled(b"N0" * 60_000 + made(canary))


def _long(canary: str) -> bytes:
    return pickled(b"B" + struct.pack("<I", 1 << 20) + b"\x00" * (1 << 20) + b"0" + made(canary))


def _hooks(canary: str) -> bytes:
    hooks = called("collections", "OrderedDict") + text("a") + made(canary) + b"s"
    storage = b"(" + text("storage") + named("torch", "FloatStorage") + text("0") + text("cpu") + b"K\x01tQ"
    body = called("torch._utils", "_rebuild_tensor_v2", storage, b"K\x00", b"K\x01\x85", b"K\x01\x85", b"\x89", hooks)
    return checkpoint(pickled(body), {"model/data/0": bytes(4)})


def _typed(canary: str) -> bytes:
    args = b"(" + text(canary) + b"t"
    return checkpoint(
        pickled(called("torch._tensor", "_rebuild_from_type_v2", named("os", "mkdir"), named("torch", "Tensor"), args, b"}"))
    )


def _nested(canary: str) -> bytes:
    """A file of PyTorch as bytes within a plain pickle."""
    inner = checkpoint(pickled(made(canary)))
    return pickled(named("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(inner)) + inner + b"\x85R", 3)


def _compressed(canary: str) -> bytes:
    return zlib.compress(pickled(made(canary)))


def _odd_list(_canary: str) -> bytes:
    """Items set on what is no dict, which corrupted memory within weights_only."""
    return checkpoint(pickled(b"]" + b"K\x05" + text("x") + b"s"))


_LIVE: Final = {
    "names through the memo": (_through_memo, "GHSA of picklescan: STACK_GLOBAL resolved by looking back"),
    "names swapped": (_swapped, "GHSA of picklescan: STACK_GLOBAL resolved by looking back"),
    "dotted name": (_dotted, "GHSA-5j3x-jp52-966f"),
    "names in escapes": (_escaped, "GHSA of picklescan: names of other opcodes"),
    "protocol 0": (_old_text, "protocols 0 and 1"),
    "INST": (_inst, "opcodes that call"),
    "OBJ": (_obj, "GHSA-mxhj-88fx-4pcv"),
    "NEWOBJ_EX": (_newobj_ex, "opcodes that call"),
    "changed class": (_changed_class, "BUILD on a class"),
    "builtins of numpy": (_module_dict, "modelscan 330"),
    "defaultdict": (_default, "factory that is called later"),
    "before nonsense": (_before_nonsense, "GHSA of picklescan: a broken pickle aborts the scan"),
    "cut short": (_cut, "GHSA of picklescan: a broken pickle aborts the scan"),
    "behind many instructions": (_many, "limit of a scanner"),
    "behind a megabyte": (_long, "limit of a scanner"),
}
_OTHERS: Final = {
    "names computed": (_computed, "GHSA-5j3x-jp52-966f"),
    "state with a function": (_build, "GHSA-mhc9-48gj-9gp3"),
    "two pickles": (_two, "concatenated pickles"),
    "pickle behind data": (_after_data, "concatenated pickles"),
    "registered extension": (_extension, "EXT1, EXT2, EXT4"),
    "persistent id": (_reference, "PERSID, BINPERSID"),
    "buffer from outside": (_out_of_band, "NEXT_BUFFER"),
    "bytearray of 100 GB": (_huge, "memory"),
    "array of 100 GB": (_huge_array, "memory"),
    "memo of 64 GB": (_huge_memo, "memory"),
    "compressed by zlib": (_compressed, "joblib"),
}
_CHECKPOINTS: Final = {
    "hooks of a tensor": (_hooks, "code that a gradient runs"),
    "rebuilt from a type": (_typed, "code within a function that is allowed"),
    "items in a list": (_odd_list, "CVE-2026-24747"),
}

CASES: Final = (
    *(Hostile(name, "model.pkl", kind, _gadget(name)) for name, kind in _GADGETS.items()),
    *(Hostile(name, "model.pkl", kind, build, live=True) for name, (build, kind) in _LIVE.items()),
    *(Hostile(name, "model.pkl", kind, build) for name, (build, kind) in _OTHERS.items()),
    *(Hostile(name, "model.pt", kind, build) for name, (build, kind) in _CHECKPOINTS.items()),
    Hostile("PyTorch within a pickle", "model.pkl", "CVE-2025-32434 and the like: nested files", _nested),
)
