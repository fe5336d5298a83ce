"""Robust means as a strategy of Flower (`flwr.serverapp`), for federated learning with clients nobody can vouch for."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput, MissingExtra
from untaint.numerics.aggregation import CAP, TRIMMED_MEAN, TooHeavy, TooManyBad, rule_named, usual_f
from untaint.training.engines.updates import Combined, combine_updates

try:
    from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
    from flwr.serverapp import Grid
    from flwr.serverapp.strategy import FedAvg
except ImportError as error:
    raise MissingExtra("the Flower strategy", "flower") from error

LEFT_OUT = "untaint-left-out"
"""Metric of a round of training: how many replies did not go into the mean."""
_log = logging.getLogger("flwr")  # where Flower tells what its strategies do


@final
@dataclass(frozen=True)
class Rejected:
    """A reply that did not go into the mean. node: of the client."""

    server_round: int
    node: int
    reason: str


@final
@dataclass(frozen=True)
class _Reply:
    """What a client sent, once looked at. reason: why it cannot be used, empty if it can."""

    node: int
    content: Any
    arrays: Mapping[str, np.ndarray]
    weight: float
    reason: str = ""


@final
class RobustFedAvg(FedAvg):  # type: ignore[misc]  # Flower is not installed where types are checked
    """Flower's FedAvg with a robust mean of the clients' models.

    rule, f, mix: as in `untaint.robust_mean`; f None = a tenth of the replies, at least one where that is a minority.
    cap: how many times the median a client may claim to weigh (`weighted_by_key`); None = all count alike, as they also do in a
    round in which f clients could otherwise hold half of all weight.  others: the arguments of `FedAvg`.
    A reply is left out when it holds other arrays than were sent out, numbers that are not finite, or no usable weight; it counts as one
    of the f, is logged, stands in `rejected`, and in the metric `untaint-left-out`. Where more than f are left out, the round is refused:
    the model stays as it was. Metrics are medians over clients, unless functions of your own are given.
    Raises BadInput for parameters without sense, MissingExtra without Flower.
    """

    def __init__(
        self, *, rule: str = TRIMMED_MEAN, f: int | None = None, mix: bool = False, cap: float | None = CAP, **others: Any
    ) -> None:
        rule_named(rule)
        if f is not None and f < 0:
            raise BadInput(f"f is {f}: how many clients may be bad.", advice="Choose 0 or more, under half of the replies.")
        if cap is not None and not cap > 0:
            raise BadInput(f"cap is {cap}: how many times the median weight a client may have.", advice="2 is usual.")
        metrics = {"train_metrics_aggr_fn": median_metrics, "evaluate_metrics_aggr_fn": median_metrics}
        super().__init__(**{**metrics, **others})
        self.rule, self.f, self.mix, self.cap = rule, f, mix, cap
        self.rejected: list[Rejected] = []
        self._sent: dict[str, tuple[tuple[int, ...], str]] | None = None

    @override
    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """As FedAvg does; what is sent out is what replies have to look like."""
        self._sent = {name: (tuple(array.shape), str(array.dtype)) for name, array in arrays.items()}
        messages: Iterable[Message] = super().configure_train(server_round, arrays, config, grid)
        return messages

    @override
    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The robust mean of the models, and the metrics of those that went into it; None, None where there is no safe answer."""
        received, _ = self._check_and_log_replies(replies, is_train=True, validate=False)
        read = [self._read(message) for message in received]
        usable = [reply for reply in read if not reply.reason]
        self._reject(server_round, [reply for reply in read if reply.reason])
        if not usable:
            return None, None
        f = usual_f(len(read)) if self.f is None else self.f
        try:
            answer = self._combined(usable, f - (len(read) - len(usable)))
        except BadInput as refused:
            _log.warning("aggregate_train: round %s refused, the model stays as it was. %s", server_round, refused)
            return None, None
        lost = [reply for place, reply in enumerate(usable) if place not in answer.kept]
        self._reject(server_round, lost, "holds numbers that are not finite, or unlike the others' arrays")
        metrics = self.train_metrics_aggr_fn([usable[place].content for place in answer.kept], self.weighted_by_key)
        if metrics is not None:
            metrics[LEFT_OUT] = len(read) - len(answer.kept)
        return ArrayRecord({name: Array(np.asarray(value)) for name, value in answer.value.items()}), metrics

    @override
    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Metrics of the replies that hold some; one reply without does not stop the others."""
        received, _ = self._check_and_log_replies(replies, is_train=False, validate=False)
        contents = [message.content for message in received if len(message.content.metric_records) == 1]
        found: MetricRecord | None = self.evaluate_metrics_aggr_fn(contents, self.weighted_by_key) if contents else None
        return found

    def _combined(self, usable: Sequence[_Reply], f: int) -> Combined:
        if f < 0:
            raise TooManyBad("More replies can't be used than there were to be bad ones.", advice="Allow a greater f.")
        models = [reply.arrays for reply in usable]
        if self.cap is not None:
            try:
                claims = [reply.weight for reply in usable]
                return combine_updates(models, self.rule, f, mix=self.mix, weights=claims, cap=self.cap)
            except TooHeavy:
                _log.warning(
                    "aggregate_train: all clients count alike, since %s of them hold half of what they say they weigh", f
                )
        return combine_updates(models, self.rule, f, mix=self.mix)

    def _read(self, message: Message) -> _Reply:
        node, content = message.metadata.src_node_id, message.content
        records, metrics = list(content.array_records.values()), list(content.metric_records.values())
        if len(records) != 1 or len(metrics) != 1:
            found = f"{len(records)} and {len(metrics)}"
            return _Reply(node, content, {}, np.nan, f"holds {found} records of arrays and metrics, not one of each")
        weight = metrics[0].get(self.weighted_by_key)
        if self.cap is not None and not (isinstance(weight, int | float) and weight >= 0):  # false for NaN
            return _Reply(node, content, {}, np.nan, f"says of '{self.weighted_by_key}' {weight!r}, not how much it weighs")
        if reason := self._unlike(records[0]):
            return _Reply(node, content, {}, np.nan, reason)
        try:
            arrays = {name: array.numpy() for name, array in records[0].items()}
        except (ValueError, TypeError, EOFError, OSError, MemoryError, SyntaxError) as error:
            return _Reply(node, content, {}, np.nan, f"holds arrays that can't be read: {error}")
        if any((array.shape, str(array.dtype)) != self._expected(name, array) for name, array in arrays.items()):
            return _Reply(node, content, {}, np.nan, "holds arrays that are not what they say they are")
        return _Reply(node, content, arrays, float(weight) if self.cap is not None else 1.0)

    def _expected(self, name: str, array: np.ndarray) -> tuple[tuple[int, ...], str]:
        return (array.shape, str(array.dtype)) if self._sent is None else self._sent[name]

    def _unlike(self, record: ArrayRecord) -> str:
        """How it differs from what was sent out; empty if it does not."""
        if self._sent is None:
            return ""
        own = {name: (tuple(array.shape), str(array.dtype)) for name, array in record.items()}
        odd = sorted(name for name in own.keys() | self._sent.keys() if own.get(name) != self._sent.get(name))
        return f"holds other arrays than were sent out: {', '.join(odd[:3])}" if odd else ""

    def _reject(self, server_round: int, replies: Iterable[_Reply], reason: str = "") -> None:
        for reply in replies:
            said = reply.reason or reason
            self.rejected.append(Rejected(server_round, reply.node, said))
            _log.warning("aggregate_train: reply of node %s left out: it %s", reply.node, said)


def median_metrics(records: Sequence[RecordDict], weighted_by_key: str) -> MetricRecord:
    """Medians over clients of every metric that most of them report, numbers that are not finite left out."""
    reported: dict[str, list[np.ndarray]] = {}
    for record in records:
        for metrics in record.metric_records.values():
            for name, value in metrics.items():
                if name != weighted_by_key:
                    reported.setdefault(name, []).append(np.asarray(value, np.float64))
    found = MetricRecord()
    for name, values in reported.items():
        shapes = [value.shape for value in values]
        shape = max(set(shapes), key=shapes.count)
        fit = [value for value in values if value.shape == shape and np.isfinite(value).all()]
        if 2 * len(fit) > len(records):
            middle = np.median(fit, axis=0)
            found[name] = middle.tolist()
    return found
