"""The Merkle tree of RFC 6962 (section 2.1) over any number of leaves: root, inclusion and consistency proofs, from tiles on disk.

Tiles follow C2SP tlog-tiles: `<level>/<number>` holds 256 hashes of 32 bytes, each the root of 256 hashes one level below, the last
of a level is `<number>.p/<width>` with fewer; `001/234` is written `x001/234`. So a tree of a hundred million leaves is a pile of
files of 8 KiB, of which a proof reads five, and any C2SP tool can read them.
"""

import hashlib
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import final

from untaint.errors import BadInput

SIZE = 32
"""Bytes of a hash, SHA-256."""
WIDTH = 256
"""Hashes of a whole tile (C2SP tlog-tiles)."""
_HEIGHT = 8  # levels of the tree in one tile: 2**8 = 256
_LEAF, _NODE = b"\x00", b"\x01"  # RFC 6962, 2.1: a leaf can never pass for a node
_CACHED = 4096  # tiles kept by a reader, 32 MiB at most


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf, MTH({d0}) of RFC 6962."""
    return hashlib.sha256(_LEAF + data).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Root over leaf hashes, all in memory; over none the hash of nothing.

    Pairs are combined level by level and the odd last one goes up as it is, which is the tree RFC 6962 describes from the top.
    """
    level, sha256 = list(hashes), hashlib.sha256
    if not level:
        return sha256(b"").digest()
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(_NODE + left + right).digest() for left, right in pairs] + odd
    return level[0]


def tile_name(level: int, number: int, width: int = WIDTH) -> str:
    """Relative name of a tile (C2SP tlog-tiles, "Merkle Tree")."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    return "/".join([str(level), *groups]) + ("" if width == WIDTH else f".p/{width}")


@final
class TileWriter:
    """Appends leaf hashes to the tiles in a folder; None = only the root is wanted. Memory: one tile a level.

    size: leaves the folder holds already, which are gone on from.  Raises BadInput when their tiles are not all there.
    """

    def __init__(self, folder: Path | None, size: int = 0) -> None:
        self._folder = folder
        self.size = size
        self._open: list[list[bytes]] = []
        held = Tiles(folder or Path(), size)
        while size >> (_HEIGHT * len(self._open)):
            level = len(self._open)
            self._open.append(held.last(level))

    def extend(self, leaves: bytes) -> None:
        """Append leaf hashes, one after another."""
        hashes = [leaves[place : place + SIZE] for place in range(0, len(leaves), SIZE)]
        self.size += len(hashes)
        self._put(0, hashes)

    def close(self) -> bytes:
        """Write the tiles that are not whole; the root. More may be appended afterwards."""
        for level, hashes in enumerate(self._open):
            if hashes:
                self._write(level, self.size >> (_HEIGHT * (level + 1)), hashes)
        return self.root()

    def root(self) -> bytes:
        """Root over all leaves so far."""
        carried: list[bytes] = []
        for hashes in self._open:
            if hashes or carried:
                carried = [root_of([*hashes, *carried])]
        return carried[0] if carried else root_of([])

    def _put(self, level: int, hashes: list[bytes]) -> None:
        if not hashes:
            return
        while len(self._open) <= level:
            self._open.append([])
        held, first = self._open[level], self._numbers(level, len(hashes))
        held += hashes
        whole = len(held) // WIDTH
        above = []
        for place in range(whole):
            tile = held[place * WIDTH : (place + 1) * WIDTH]
            self._write(level, first + place, tile)
            above.append(root_of(tile))
        del held[: whole * WIDTH]
        self._put(level + 1, above)

    def _numbers(self, level: int, added: int) -> int:
        """Number of the tile that is open at a level before so many hashes came."""
        return ((self.size >> (_HEIGHT * level)) - added) >> _HEIGHT

    def _write(self, level: int, number: int, hashes: list[bytes]) -> None:
        if self._folder is None:
            return
        target = self._folder / tile_name(level, number, len(hashes))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"".join(hashes))
        if len(hashes) == WIDTH:
            parts = self._folder / f"{tile_name(level, number)}.p"
            if parts.is_dir():
                shutil.rmtree(parts)


@final
class Tiles:
    """A tree of `size` leaves read from its tiles. Nothing read is believed before `verify_inclusion` or `check` said so."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self.size = size
        self._read = lru_cache(_CACHED)(self._load)
        self._upper = lru_cache(16 * _CACHED)(self._subtree)  # of the nodes above one tile: all proofs meet there

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile, as many as a tree of this size has. Raises BadInput for one that is absent or cut short."""
        return self._read(level, number)

    def last(self, level: int) -> list[bytes]:
        """Hashes of the tile of a level that is not whole; none where all are."""
        held = self.size >> (_HEIGHT * level)
        return _cut(self.tile(level, held // WIDTH)) if held % WIDTH else []

    def leaf(self, index: int) -> bytes:
        """Hash of one leaf."""
        number, place = divmod(index, WIDTH)
        return self.tile(0, number)[place * SIZE : (place + 1) * SIZE]

    def leaves(self, start: int, stop: int) -> bytes:
        """Leaf hashes of a run, one after another."""
        first, last = start // WIDTH, -(-stop // WIDTH)
        found = b"".join(self._load(0, number) for number in range(first, last))
        return found[(start - first * WIDTH) * SIZE : (stop - first * WIDTH) * SIZE]

    def root(self, size: int | None = None) -> bytes:
        """Root over the first `size` leaves, None = all."""
        wanted = self.size if size is None else size
        return self._range(0, wanted) if wanted else root_of([])

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Audit path of a leaf (RFC 6962, 2.1.1), nearest sibling first."""
        low, high, path = 0, self.size if size is None else size, list[bytes]()
        if not 0 <= index < high <= self.size:
            raise BadInput(f"there is no leaf {index:,} in a tree of {high:,}.", advice="Count from 0.")
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._range(middle, high))
                high = middle
            else:
                path.append(self._range(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """Proof that the tree of `old` leaves is the beginning of that of `size` (RFC 6962, 2.1.2)."""
        high = self.size if size is None else size
        if not 0 < old <= high <= self.size:
            raise BadInput(f"a tree of {high:,} leaves has no beginning of {old:,}.", advice="The older tree comes first.")
        return self._subproof(old, 0, high, whole=True)

    def check(self, level: int = 0) -> None:
        """Compute every tile above a level from those below. Raises BadInput for one that does not follow, as of two that were swapped."""
        while (held := self.size >> (_HEIGHT * (level + 1))) > 0:
            for number in range(held):
                upper = self.tile(level + 1, number // WIDTH)
                place = number % WIDTH
                if root_of(_cut(self._load(level, number))) != upper[place * SIZE : (place + 1) * SIZE]:
                    name = tile_name(level, number)
                    raise BadInput(f"{self._folder / name} does not fit the tiles above it.", advice="The tree was changed.")
            level += 1

    def root_of_tiles(self) -> bytes:
        """Root over all leaves, but from the hashes of whole tiles, as the level above the leaves has them."""
        whole = self.size // WIDTH
        above = b"".join(self._load(1, number) for number in range(-(-whole // WIDTH)))
        rest = self.last(0)
        return root_of([*_cut(above), *([root_of(rest)] if rest else [])])

    def _subproof(self, old: int, low: int, high: int, *, whole: bool) -> list[bytes]:
        """SUBPROOF(old, D[low:high], whole), the tree in question beginning at `low`."""
        if old == high - low:
            return [] if whole else [self._range(low, high)]
        middle = _split(high - low)
        if old <= middle:
            return [*self._subproof(old, low, low + middle, whole=whole), self._range(low + middle, high)]
        return [*self._subproof(old - middle, low + middle, high, whole=False), self._range(low, low + middle)]

    def _range(self, low: int, high: int) -> bytes:
        """Root over leaves low … high, which begin where a whole subtree may."""
        peaks: list[bytes] = []
        while low < high:
            level = min((low & -low).bit_length() - 1 if low else 64, (high - low).bit_length() - 1)
            peaks.append(self._node(level, low >> level))
            low += 1 << level
        carried = peaks.pop()
        while peaks:
            carried = hashlib.sha256(_NODE + peaks.pop() + carried).digest()
        return carried

    def _node(self, level: int, index: int) -> bytes:
        """Root of a whole subtree of 2**level leaves."""
        return self._upper(level, index) if level >= _HEIGHT else self._subtree(level, index)

    def _subtree(self, level: int, index: int) -> bytes:
        upper, below = divmod(level, _HEIGHT)
        first = index << below
        number, place = divmod(first, WIDTH)
        held = self.tile(upper, number)[place * SIZE : (place + (1 << below)) * SIZE]
        return root_of(_cut(held))

    def _load(self, level: int, number: int) -> bytes:
        width = held = min(WIDTH, (self.size >> (_HEIGHT * level)) - number * WIDTH)
        target = self._folder / tile_name(level, number, width)
        if not target.exists() and (whole := self._folder / tile_name(level, number)).exists():
            target, held = whole, WIDTH  # it has become whole since, and begins alike (C2SP tlog-tiles, "Partial Tiles")
        try:
            found = target.read_bytes()
        except FileNotFoundError as error:
            raise BadInput(f"{target} is missing.", advice="The tree is not whole: restore it, or seal again.") from error
        if len(found) != held * SIZE:
            message = f"{target} has {len(found):,} bytes, not {held * SIZE:,}."
            raise BadInput(message, advice="It was cut short or grown: restore it, or seal again.")
        return found[: width * SIZE]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether a leaf hash is number `index` of the tree with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = hashlib.sha256(_NODE + sibling + found).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(_NODE + found + sibling).digest()
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, size: int, old_root: bytes, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree with `old_root` is the beginning of that with `root` (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not path and old_root == root
    proof = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not proof:
        return False
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = proof[0]
    for sibling in proof[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first = hashlib.sha256(_NODE + sibling + first).digest()
            second = hashlib.sha256(_NODE + sibling + second).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            second = hashlib.sha256(_NODE + second + sibling).digest()
        place, last = place >> 1, last >> 1
    return last == 0 and first == old_root and second == root


def _split(size: int) -> int:
    """Largest power of two below `size`, where RFC 6962 parts a tree."""
    return 1 << ((size - 1).bit_length() - 1)


def _cut(hashes: bytes) -> list[bytes]:
    return [hashes[place : place + SIZE] for place in range(0, len(hashes), SIZE)]
