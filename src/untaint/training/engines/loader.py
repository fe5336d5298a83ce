"""A loader that hands out what the hooks of a recipe leave of each batch."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, Sampler
from typing_extensions import override

from untaint.errors import BadInput
from untaint.training.engines.session import Session


@runtime_checkable
class ByRow(Protocol):
    """A loader that can be asked for rows.

    start: batches of the next epoch that are done already.  numbers: (rows,) what its rows are called where they are told of.
    """

    rows: int
    batch: int
    start: int
    numbers: np.ndarray

    def order(self) -> Sequence[np.ndarray]:
        """Row numbers of every batch of the next epoch."""

    def fetch(self, rows: np.ndarray) -> Any:
        """The batch of these rows."""


@final
class HardenedLoader:
    """Iterates as the loader it was made of, which it otherwise answers for; `session` is the run it belongs to.

    One batch may come in several parts, each to be trained on by itself; rows that were dropped do not come. done: batches of this epoch
    that were taken from the loader.
    """

    def __init__(self, loader: Iterable[Any] | ByRow, session: Session) -> None:
        self.session = session
        self.done = 0
        self._numbers: deque[np.ndarray] = deque()
        if isinstance(loader, ByRow):
            session.numbers = loader.numbers
        self._given, self._inner = loader, _remade(loader, session, self._numbers)

    def __iter__(self) -> Iterator[Any]:
        self._numbers.clear()
        self.session.begin_epoch()
        self.done, self._begin = self._begin, 0
        for content in self._inner:
            self.done += 1
            rows = self._numbers.popleft() if self._numbers else None
            if content is None:
                self.session.empty()
            else:
                yield from self.session.batches(content, rows)

    _begin = 0

    @property
    def batches(self) -> int:
        """Batches of an epoch before they are cut into parts."""
        return len(self._inner)  # type: ignore[arg-type]  # an iterable without a length says so itself

    def take_up(self, epochs: int, done: int) -> None:
        """Go on after so many whole epochs, in the one after them after so many batches; of a loader that can be asked for rows."""
        self.session.progress.epoch = epochs - 1
        self._begin = done
        if isinstance(self._inner, _Asked):
            self._inner.inner.start = done

    def __len__(self) -> int:
        """Batches that the loop gets, when none is dropped."""
        return len(self._inner) * self.session.parts_of_batch  # type: ignore[arg-type]  # an iterable without a length says so itself

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._given, name)


@final
class _Asked:
    """Batches of a loader that can be asked for rows, in its order or as a defence draws them; None = no rows were drawn."""

    def __init__(self, inner: ByRow, draw: Any, numbers: deque[np.ndarray]) -> None:
        self.inner, self.draw, self.numbers = inner, draw, numbers

    def __iter__(self) -> Iterator[Any]:
        start, self.inner.start = self.inner.start, 0
        order = self.inner.order() if self.draw is None else [None] * len(self)
        for rows in order[start:]:
            chosen = self.draw() if rows is None else rows
            self.numbers.append(chosen)
            yield self.inner.fetch(chosen) if len(chosen) else None

    def __len__(self) -> int:
        return ceil(self.inner.rows / self.inner.batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@final
class _Noted(Sampler[list[int]]):
    """Draws batches as another sampler does, and notes the numbers of their rows."""

    def __init__(self, inner: Iterable[list[int]], numbers: deque[np.ndarray]) -> None:
        self.inner, self.numbers = inner, numbers

    @override
    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.inner:
            held = list(batch)
            self.numbers.append(np.array(held, np.int64))
            yield held

    def __len__(self) -> int:
        return len(self.inner)  # type: ignore[arg-type]


@final
class _Drawn(Sampler[list[int]]):
    """Batches that a defence draws, as many as an epoch of the usual ones has."""

    def __init__(self, draw: Any, batches: int) -> None:
        self.draw, self.batches = draw, batches

    @override
    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(self.batches):
            yield self.draw().tolist()

    def __len__(self) -> int:
        return self.batches


@final
class _Collate:
    """A loader's own way to make a batch of samples, None for no samples."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, samples: list[Any]) -> Any:
        return self.inner(samples) if samples else None


def rows_of(loader: Iterable[Any] | ByRow) -> int | None:
    """Rows in the loader's data set, None = not known."""
    if isinstance(loader, ByRow):
        return loader.rows
    if isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset):
        return len(loader.dataset)  # type: ignore[arg-type]
    return None


def _remade(loader: Iterable[Any] | ByRow, session: Session, numbers: deque[np.ndarray]) -> Iterable[Any]:
    """The same loader with row numbers noted or batches drawn by a defence, where it can be made again; else as it is."""
    draw = session.samples
    if isinstance(loader, ByRow):
        return _Asked(loader, draw, numbers)
    plain = (
        isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset) and loader.batch_sampler is not None
    )
    if not plain:
        if draw is not None:
            message = "the recipe draws the rows of every batch itself, and this loader can't be asked for rows."
            raise BadInput(message, advice="Give a torch DataLoader over a data set that has a length and numbers its rows.")
        return loader
    if not isinstance(loader, DataLoader) or loader.batch_sampler is None:  # for the type checker: as `plain` says
        return loader
    inner: Any = loader.batch_sampler
    if draw is not None:
        batch = getattr(inner, "batch_size", None) or session.run.batch or 1
        inner = _Drawn(draw, ceil(len(loader.dataset) / batch))  # type: ignore[arg-type]
    return DataLoader(
        loader.dataset,
        batch_sampler=_Noted(inner, numbers),
        num_workers=loader.num_workers,
        collate_fn=_Collate(loader.collate_fn),
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )


def batch_of(loader: Iterable[Any] | ByRow) -> int | None:
    """Rows of a usual batch, None = not known."""
    if isinstance(loader, ByRow):
        return loader.batch
    sampler = getattr(loader, "batch_sampler", None)
    size = sampler.batch_size if isinstance(sampler, BatchSampler) else getattr(loader, "batch_size", None)
    return size if isinstance(size, int) else None
