import hashlib
import random
from functools import cache
from pathlib import Path

import pytest

from untaint.errors import BadInput
from untaint.provenance.merkle import Tiles, TileWriter, leaf_hash, root_of, tile_name, verify_consistency, verify_inclusion


@cache
def leaf(i: int) -> bytes:
    return leaf_hash(f"leaf {i}".encode())


def leaves(n: int) -> list[bytes]:
    return [leaf(i) for i in range(n)]


@cache
def naive(stop: int, start: int = 0) -> bytes:
    """RFC 6962, 2.1, from the top as it is written there; roots of all sizes share what is whole."""
    n = stop - start
    if n == 0:
        return hashlib.sha256(b"").digest()
    if n == 1:
        return leaf(start)
    k = 1
    while 2 * k < n:
        k *= 2
    return hashlib.sha256(b"\x01" + naive(start + k, start) + naive(stop, start + k)).digest()


def written(folder: Path, hashes: list[bytes]) -> bytes:
    writer = TileWriter(folder)
    writer.extend(b"".join(hashes))
    return writer.close()


SIZES = [0, 1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 769]
LEVELS = (65_535, 65_536, 65_537, 65_836)
"""Around the first leaf that opens a third level of tiles."""


def test_the_published_roots_of_rfc_6962() -> None:
    """Test vectors of the reference implementation of certificate transparency: its eight leaves."""
    data = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    hashes = [leaf_hash(bytes.fromhex(text)) for text in data]
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of(hashes[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of(hashes).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("n", SIZES)
def test_a_root_is_that_of_the_naive_twin(n: int, tmp_path: Path) -> None:
    assert root_of(leaves(n)) == naive(n)
    assert written(tmp_path, leaves(n)) == naive(n)
    tiles = Tiles(tmp_path, n)
    assert tiles.root() == tiles.root_of_tiles() == naive(n)
    assert [tiles.root(size) for size in range(0, n + 1, 13)] == [naive(size) for size in range(0, n + 1, 13)]


def test_a_tree_of_three_levels_of_tiles(tmp_path: Path) -> None:
    before = 0
    for n in LEVELS:
        writer = TileWriter(tmp_path, before)
        writer.extend(b"".join(leaf(i) for i in range(before, n)))
        assert writer.close() == naive(n)
        before = n
    tiles = Tiles(tmp_path, n)
    assert tiles.root() == tiles.root_of_tiles() == naive(n)
    tiles.check()
    for index in (0, 255, 256, 65535, 65536, n - 1):
        assert tiles.leaf(index) == leaf(index)
        assert verify_inclusion(leaf(index), index, n, tiles.inclusion(index), tiles.root())
    assert tiles.leaves(250, 520) == b"".join(leaves(520)[250:])
    for old in (65_000, *LEVELS[:-1]):
        assert verify_consistency(old, n, naive(old), tiles.root(), tiles.consistency(old))


@pytest.mark.parametrize("n", [1, 2, 5, 8, 300])
def test_every_leaf_is_proven_and_no_other(n: int, tmp_path: Path) -> None:
    root = written(tmp_path, leaves(n))
    tiles = Tiles(tmp_path, n)
    for index in range(0, n, max(1, n // 20)):
        path = tiles.inclusion(index)
        assert verify_inclusion(leaf(index), index, n, path, root)
        assert not verify_inclusion(leaf_hash(b"another"), index, n, path, root)
        assert not verify_inclusion(leaf(index), index, n, [*path, root], root)
        assert not verify_inclusion(leaf(index), index, n, path[:-1], root) or n == 1
        assert not verify_inclusion(leaf(index), (index + 1) % n, n, path, root) or n == 1
    assert not verify_inclusion(leaf(0), n, n, tiles.inclusion(0), root)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 21, 300])
def test_a_tree_that_grew_proves_it_and_one_that_was_rewritten_cannot(n: int, tmp_path: Path) -> None:
    root = written(tmp_path, leaves(n))
    tiles = Tiles(tmp_path, n)
    for old in range(1, n + 1, max(1, n // 40)):
        path = tiles.consistency(old)
        assert verify_consistency(old, n, naive(old), root, path)
        assert not verify_consistency(old, n, root_of([leaf_hash(b"rewritten"), *leaves(old)[1:]]), root, path)
        assert not verify_consistency(old, n, naive(old), leaf_hash(b"x"), path)
        assert not verify_consistency(old, n, naive(old), root, [*path, root])
    assert not verify_consistency(0, n, root_of([]), root, [])
    assert not verify_consistency(n + 1, n, root, root, [])


def test_leaves_may_come_in_any_portions_and_a_writer_goes_on_from_tiles(tmp_path: Path) -> None:
    hashes, rng = leaves(1500), random.Random(1)
    place = 0
    while place < len(hashes):
        step = rng.choice([1, 3, 255, 256, 400])
        writer = TileWriter(tmp_path, place)
        writer.extend(b"".join(hashes[place : place + step]))
        place = min(len(hashes), place + step)
        assert writer.close() == naive(place)
    whole = tmp_path / "once"
    written(whole, hashes)
    kept = {path.relative_to(whole).as_posix(): path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept
    assert Tiles(tmp_path, 1500).root() == naive(1500)


def test_tiles_are_named_as_c2sp_says() -> None:
    assert tile_name(0, 0) == "0/000"
    assert tile_name(0, 1234067) == "0/x001/x234/067"
    assert tile_name(1, 1000, 70) == "1/x001/000.p/70"


def test_broken_tiles_are_told(tmp_path: Path) -> None:
    written(tmp_path, leaves(1024))
    first, second = tmp_path / "0/000", tmp_path / "0/001"
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    with pytest.raises(BadInput, match="0/000 does not fit the tiles above it"):
        Tiles(tmp_path, 1024).check()
    first.write_bytes(one[:-1])
    with pytest.raises(BadInput, match="8,191 bytes, not 8,192"):
        Tiles(tmp_path, 1024).root(3)
    first.unlink()
    with pytest.raises(BadInput, match="0/000 is missing"):
        Tiles(tmp_path, 1024).inclusion(3)
    with pytest.raises(BadInput, match="no leaf 1,024"):
        Tiles(tmp_path, 1024).inclusion(1024)
    with pytest.raises(BadInput, match="no beginning of 2,000"):
        Tiles(tmp_path, 1024).consistency(2000)
