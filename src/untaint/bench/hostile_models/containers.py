"""Hostile containers: archives that two programs read in two ways, names that lie, sizes that are not there."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from untaint.bench.hostile_models.base import Hostile, archive, called, checkpoint, made, named, pickled, text

_LOCAL: Final = b"PK\x03\x04"
_CENTRAL: Final = b"PK\x01\x02"


def _evil(canary: str) -> bytes:
    return pickled(made(canary))


def _harmless() -> bytes:
    return pickled(b"}")


def _flag(bits: int, at: Mapping[bytes, int]) -> Callable[[str], bytes]:
    """A checkpoint whose headers have flag bits set. at: place of the flags in each kind of header."""

    def build(canary: str) -> bytes:
        content = bytearray(checkpoint(_evil(canary)))
        for magic, offset in at.items():
            place = content.find(magic)
            content[place + offset] |= bits
        return bytes(content)

    return build


def _renamed(canary: str) -> bytes:
    """The header of the member has another name than the directory."""
    content = checkpoint(_evil(canary))
    return content.replace(b"model/data.pkl", b"model/data.txt", 1)


def _renamed_in_directory(canary: str) -> bytes:
    content = checkpoint(_evil(canary))
    at = content.rfind(b"model/data.pkl")
    return content[:at] + b"model/data.txt" + content[at + 14 :]


def _checksum(canary: str) -> bytes:
    content = bytearray(checkpoint(_evil(canary)))
    for magic, offset in ((_LOCAL, 14), (_CENTRAL, 16)):
        place = content.find(magic)
        content[place + offset] ^= 0xFF
    return bytes(content)


def _twice(canary: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for content in (_harmless(), _evil(canary)):
            zipped.filelist = zipped.filelist[:]
            zipped.NameToInfo.pop("model/data.pkl", None)
            zipped.writestr("model/data.pkl", content)
    return file.getvalue()


def _prefixed(canary: str) -> bytes:
    """A pickle in front of an archive: `pickle.load` begins at the start, an archive at the end."""
    return _evil(canary) + checkpoint(_harmless())


def _between(canary: str) -> bytes:
    content = checkpoint(_harmless())
    at = content.find(_CENTRAL)
    hidden = _evil(canary)
    moved = bytearray(content[:at] + hidden + content[at:])
    place = moved.rfind(b"PK\x05\x06")
    struct.pack_into("<I", moved, place + 16, at + len(hidden))
    return bytes(moved)


def _commented(canary: str) -> bytes:
    file = io.BytesIO(checkpoint(_evil(canary)))
    inner = checkpoint(_harmless())
    with zipfile.ZipFile(file, "a") as zipped:
        zipped.comment = inner[:60_000]
    return file.getvalue()


def _bomb(_canary: str) -> bytes:
    """300 MB of zeros in 300 kB, made without packing them: one megabyte again and again."""
    packer, megabyte = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(1 << 20)
    packed = (packer.compress(megabyte) + packer.flush(zlib.Z_FULL_FLUSH)) * 300 + b"\x03\x00"
    crc = 0
    for _ in range(300):
        crc = zlib.crc32(megabyte, crc)
    content = bytearray(checkpoint(_harmless(), {"model/data/0": packed}))
    for magic, method, numbers in ((_LOCAL, 8, 14), (_CENTRAL, 10, 16)):
        place = content.rfind(magic)
        struct.pack_into("<H", content, place + method, zipfile.ZIP_DEFLATED)
        struct.pack_into("<3I", content, place + numbers, crc, len(packed), 300 << 20)
    return bytes(content)


def _overlapping(_canary: str) -> bytes:
    """Two members of the directory share one place."""
    content = bytearray(archive({"a.npy": b"x" * 100, "b.npy": b"x" * 100}))
    first = content.find(_CENTRAL)
    second = content.find(_CENTRAL, first + 1)
    struct.pack_into("<I", content, second + 42, 0)
    return bytes(content)


def _claims(_canary: str) -> bytes:
    """A member that claims 100 GB."""
    content = bytearray(checkpoint(_harmless(), {"model/data/0": b"x" * 64}))
    for magic, offset in ((_LOCAL, 18), (_CENTRAL, 20)):
        place = content.rfind(magic)
        struct.pack_into("<2I", content, place + offset, 0xFFFFFFF0, 0xFFFFFFF0)
    return bytes(content)


def _second_name(canary: str) -> bytes:
    """A name in the extra field beside the one in the header."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        info = zipfile.ZipInfo("model/data.pkl")
        other = b"model/data.txt"
        info.extra = struct.pack("<HHBI", 0x7075, 5 + len(other), 1, zlib.crc32(b"model/data.pkl")) + other
        zipped.writestr(info, _evil(canary))
    return file.getvalue()


_TAR_NAME = 100  # bytes for a name in the header of a tar archive; longer ones stand behind a header of their own


def _in_a_name(canary: str) -> bytes:
    """A tar archive whose first member has a pickle for a name."""
    name = f"cos\nmkdir\n(S'{canary}'\ntR."
    if len(name) > _TAR_NAME:
        raise ValueError(f"a tar archive has no room for {name!r}; choose a shorter place for what it would make")
    return _tar({name: b"x", "weights": bytes(8)})


def _in_a_header(canary: str) -> bytes:
    """A pickle that is a header of safetensors as well: strings and instructions that are both JSON and code."""
    length = b"\x8c" + bytes([14]) + bytes(6)
    text = b'{"__meta'  # the rest of the short text that the length began
    code = b"0cos\nmkdir\n(S'" + canary.encode() + b"'\ntR."
    return length + text + code + b'":{}}' + b" " * 60


def _escape(_canary: str) -> bytes:
    return archive({"../../outside.py": b"import os", "model/data.pkl": _harmless()})


def _linked(_canary: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        info = zipfile.ZipInfo("model/data.pkl")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        zipped.writestr(info, "/etc/passwd")
    return file.getvalue()


def _second_pickle(canary: str) -> bytes:
    return checkpoint(_harmless(), {"model/extra.pkl": _evil(canary)})


def _inner_archive(canary: str) -> bytes:
    return checkpoint(_harmless(), {"model/extra.zip": archive({"x.pkl": _evil(canary)})})


def _torchscript(_canary: str) -> bytes:
    return archive(
        {"model/constants.pkl": _harmless(), "model/data.pkl": _harmless(), "model/code/__torch__.py": b"class M: pass"}
    )


def _library(_canary: str) -> bytes:
    return archive(
        {"model/version": b"3\n", "model/data.pkl": _harmless(), "model/data/aotinductor/model/x.so": b"\x7fELF" + bytes(60)}
    )


def _storage_claims(_canary: str) -> bytes:
    """A tensor larger than its numbers."""
    storage = b"(" + text("storage") + named("torch", "FloatStorage") + text("0") + text("cpu") + b"J\x00\x00\x00\x40tQ"
    hooks = called("collections", "OrderedDict")
    size = b"J\x00\x00\x00\x40\x85"
    body = called("torch._utils", "_rebuild_tensor_v2", storage, b"K\x00", size, b"K\x01\x85", b"\x89", hooks)
    return checkpoint(pickled(body), {"model/data/0": bytes(16)})


def _outside_storage(_canary: str) -> bytes:
    storage = b"(" + text("storage") + named("torch", "FloatStorage") + text("0") + text("cpu") + b"K\x04tQ"
    hooks = called("collections", "OrderedDict")
    body = called("torch._utils", "_rebuild_tensor_v2", storage, b"M\xe8\x03", b"K\x04\x85", b"K\x01\x85", b"\x89", hooks)
    return checkpoint(pickled(body), {"model/data/0": bytes(16)})


def _tar(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _first_layout(canary: str) -> bytes:
    return _tar({"sys_info": _harmless(), "pickle": _harmless(), "storages": _evil(canary), "tensors": pickled(b"K\x00")})


def _tar_link(_canary: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        info = tarfile.TarInfo("weights")
        info.type, info.linkname = tarfile.SYMTYPE, "../../../etc"
        packed.addfile(info)
    return file.getvalue()


def _legacy(canary: str, place: int) -> bytes:
    """PyTorch's legacy layout, with the payload in one of its pickles."""
    parts = [
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
        pickled(b"M\xe9\x03"),
        _harmless(),
        _harmless(),
        pickled(b"]"),
    ]
    parts[place] = _evil(canary)
    return b"".join(parts)


def _array(kind: str, shape: str, content: bytes) -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def _joblib(kind: str, content: bytes) -> bytes:
    """An array as joblib writes it, with content of one's own."""
    dtype = called("numpy", "dtype", text(kind), b"\x89", b"\x88")
    order, flags = (text("|"), b"K\x3f") if kind == "O8" else (text("<"), b"K\x00")
    dtype += b"(K\x03" + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff" + flags + b"tb"
    state = (
        b"}("
        + text("subclass")
        + named("numpy", "ndarray")
        + text("shape")
        + b"M"
        + struct.pack("<H", len(content) // 8)
        + b"\x85"
    )
    state += text("order") + text("C") + text("dtype") + dtype + text("allow_mmap") + b"\x89u"
    body = named("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81" + state + b"b"
    return b"\x80\x02" + body + content + b"."


def _second_reading(canary: str) -> bytes:
    """Numbers of an array that are a call to whoever does not know joblib."""
    hidden = made(canary) + b"."
    return _joblib("f8", hidden + b" " * (-len(hidden) % 8))


def _lz4(canary: str) -> bytes:
    import pyarrow as pa

    found: bytes = pa.compress(_evil(canary), "lz4", asbytes=True)
    return found


def _header(length: int, content: bytes) -> bytes:
    return struct.pack("<Q", length) + content


_FLAGS: Final = {_LOCAL: 6, _CENTRAL: 8}
CASES: Final = (
    Hostile("encrypted flag", "model.pt", "CVE-2025-1945", _flag(1, _FLAGS)),
    Hostile("encrypted flag in the directory", "model.pt", "CVE-2025-1945", _flag(1, {_CENTRAL: 8})),
    Hostile("encrypted flag in the header", "model.pt", "CVE-2025-1945", _flag(1, {_LOCAL: 6})),
    Hostile("name in the header", "model.pt", "CVE-2025-1944", _renamed),
    Hostile("name in the directory", "model.pt", "CVE-2025-1944", _renamed_in_directory),
    Hostile("bad checksum", "model.pt", "CVE-2025-10156", _checksum),
    Hostile("member twice", "model.pt", "parser differential", _twice),
    Hostile("pickle in front of an archive", "model.pt", "parser differential", _prefixed, live=True),
    Hostile("pickle between members and directory", "model.pt", "parser differential", _between),
    Hostile("archive in a comment", "model.pt", "parser differential", _commented),
    Hostile("zip bomb", "model.pt", "zip bomb", _bomb),
    Hostile("overlapping members", "model.npz", "zip bomb", _overlapping),
    Hostile("member of 4 GB", "model.pt", "size that is not there", _claims),
    Hostile("second name", "model.pt", "CVE-2025-1944", _second_name),
    Hostile("pickle as the name of a member", "model.tar", "parser differential", _in_a_name),
    Hostile("pickle as a header", "model.safetensors", "parser differential", _in_a_header, live=True),
    Hostile("path out of the folder", "model.pt", "path escape", _escape),
    Hostile("link in a zip", "model.pt", "link", _linked),
    Hostile("link in a tar", "model.tar", "link", _tar_link),
    Hostile("second pickle", "model.pt", "members that are not looked at", _second_pickle),
    Hostile("archive in an archive", "model.pt", "nested archive", _inner_archive),
    Hostile("TorchScript", "model.pt", "program instead of weights", _torchscript),
    Hostile("compiled library", "model.pt2", "program instead of weights", _library),
    Hostile("storage larger than its numbers", "model.pt", "CVE-2026-24747", _storage_claims),
    Hostile("tensor outside its storage", "model.pt", "CVE-2026-24747", _outside_storage),
    Hostile("PyTorch's first layout", "model.pt", "CVE-2025-32434", _first_layout),
    Hostile("legacy: system info", "model.pt", "pickles that are not looked at", lambda canary: _legacy(canary, 2)),
    Hostile("legacy: tensors", "model.pt", "pickles that are not looked at", lambda canary: _legacy(canary, 3)),
    Hostile("legacy: keys", "model.pt", "pickles that are not looked at", lambda canary: _legacy(canary, 4)),
    Hostile("pickle named .bin", "pytorch_model.bin", "CVE-2025-10155", _evil, live=True),
    Hostile("pickle named .txt", "readme.txt", "CVE-2025-1889", _evil, live=True),
    Hostile("pickle named .safetensors", "model.safetensors", "CVE-2025-1889", _evil, live=True),
    Hostile("pickle named .json", "config.json", "CVE-2025-1889", lambda canary: f"cos\nmkdir\n(S'{canary}'\ntR.".encode(), live=True),
    Hostile("pickle without a name", "license.dat", "CVE-2025-1889", _evil, live=True),
    Hostile("checkpoint named .png", "picture.png", "CVE-2025-1889", lambda canary: checkpoint(_evil(canary))),
    Hostile("pickle named .npy", "model.npy", "CVE-2025-1889", _evil, live=True),
    Hostile("deflated checkpoint", "model.pt", "packed members", lambda canary: checkpoint(_evil(canary), None, zipfile.ZIP_DEFLATED)),
    Hostile("member packed by bzip2", "model.pt", "packed members", lambda canary: checkpoint(_evil(canary), None, zipfile.ZIP_BZIP2)),
    Hostile("gzip", "model.pkl.gz", "joblib", lambda canary: gzip.compress(_evil(canary))),
    Hostile("bzip2", "model.joblib", "joblib", lambda canary: bz2.compress(_evil(canary))),
    Hostile("xz", "model.joblib", "joblib", lambda canary: lzma.compress(_evil(canary))),
    Hostile("lzma", "model.joblib", "joblib", lambda canary: lzma.compress(_evil(canary), lzma.FORMAT_ALONE)),
    Hostile("lz4", "model.joblib", "joblib", _lz4),
    Hostile("7z", "model.7z", "archive that is not read", lambda canary: b"7z\xbc\xaf\x27\x1c" + _evil(canary)),
    Hostile("joblib: array of objects", "model.joblib", "joblib", lambda canary: _joblib("O8", _evil(canary))),
    Hostile("joblib: numbers that are a pickle", "model.joblib", "joblib", _second_reading, live=True),
    Hostile("array of objects", "model.npy", "allow_pickle", lambda canary: _array("|O", "(1,)", _evil(canary))),
    Hostile("array of objects in an archive", "m.npz", "allow_pickle",
            lambda canary: archive({"a.npy": _array("|O", "(1,)", _evil(canary))})),
    Hostile("pickle behind an array", "model.npy", "trailing data", lambda canary: _array("<f4", "(2,)", bytes(8)) + _evil(canary)),
    Hostile("npy of 100 GB", "model.npy", "size that is not there", lambda _canary: _array("<f8", "(12500000000,)", bytes(8))),
    Hostile("pickle in an archive of arrays", "m.npz", "members that are not looked at",
            lambda canary: archive({"a.npy": _array("<f4", "(2,)", bytes(8)), "b.pkl": _evil(canary)})),
    Hostile("header of 100 GB", "model.safetensors", "size that is not there", lambda _canary: _header(10**11, b'{"a": 1}  ')),
    Hostile("tensor of 100 GB", "model.safetensors", "size that is not there",
            lambda _canary: _tensors(b'{"a":{"dtype":"F32","shape":[25000000000],"data_offsets":[0,100000000000]}}', 8)),
    Hostile("tensors that overlap", "model.safetensors", "parser differential", lambda _canary: _tensors(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}', 12)),
    Hostile("tensor twice", "model.safetensors", "parser differential", lambda _canary: _tensors(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8)),
    Hostile("pickle behind tensors", "model.safetensors", "trailing data", lambda canary: _tensors(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8) + _evil(canary)),
)  # fmt: skip


def _tensors(header: bytes, size: int) -> bytes:
    return _header(len(header), header) + bytes(size)
