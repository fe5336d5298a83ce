"""Robust means as a strategy of Flower, fed with replies as its server hands them over."""

import logging
from typing import Any

import numpy as np
import pytest

from untaint.errors import BadInput

app = pytest.importorskip(
    "flwr.app", reason="Flower (untaint[flower]) pins versions that cannot be installed beside the others here"
)

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict  # noqa: E402
from flwr.supercore.task_identity import TaskIdentity  # noqa: E402

from untaint.training.engines.flower import LEFT_OUT, RobustFedAvg, median_metrics  # noqa: E402

WILD = [1e3, 1e30, np.inf, np.nan]
RNG = np.random.default_rng(0)
MODELS = [{"w": RNG.normal(1, 0.1, (3, 2)).astype(np.float32), "n": np.array(7)} for _ in range(10)]


TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1  # messages are made within a task


def record(arrays: Any) -> Any:
    return arrays if isinstance(arrays, ArrayRecord) else ArrayRecord({name: Array(value) for name, value in arrays.items()})


def reply(node: int, arrays: Any, weight: Any = 100, loss: Any = 0.5, **more: Any) -> Any:
    asked = Message(RecordDict(), dst_node_id=node, message_type="train")
    metrics = {"loss": loss} | ({} if weight is None else {"num-examples": weight})
    return Message(RecordDict({"arrays": record(arrays), "metrics": MetricRecord(metrics), **more}), reply_to=asked)


class Nodes:
    """A grid with ten nodes, each of which moves the model halfway to one, except that the fourth sends NaN."""

    def get_node_ids(self) -> list[int]:
        return list(range(1, 11))

    def send_and_receive(self, messages: Any, *, timeout: float | None = None) -> list[Any]:
        return [self.answer(message) for message in messages]

    def answer(self, message: Any) -> Any:
        node = message.metadata.dst_node_id
        held = {name: array.numpy() for name, array in message.content["arrays"].items()}
        held["w"] = (held["w"] + np.nan if node == 4 else (held["w"] + 1) / 2).astype(np.float32)
        return reply(node, held, loss=float(held["w"].mean()))


def strategy(**chosen: Any) -> RobustFedAvg:
    made = RobustFedAvg(min_train_nodes=1, min_available_nodes=1, **chosen)
    sent = ArrayRecord({name: Array(value) for name, value in MODELS[0].items()})
    asked = list(made.configure_train(1, sent, ConfigRecord(), Nodes()))
    assert len(asked) == 10
    return made


def honest(loss: float = 0.5) -> list[Any]:
    return [reply(node, model, loss=loss) for node, model in enumerate(MODELS, 1)]


@pytest.mark.parametrize("wild", WILD)
@pytest.mark.parametrize("rule", ["median", "trimmed-mean", "geometric-median", "krum", "multi-krum", "centered-clipping"])
def test_one_client_of_anything_changes_little(rule: str, wild: float) -> None:
    made = strategy(rule=rule)
    replies = honest()
    replies[3] = reply(4, {"w": np.full((3, 2), wild, np.float32), "n": np.array(10**9)}, weight=10**9, loss=wild)
    arrays, metrics = made.aggregate_train(1, replies)
    assert arrays is not None
    assert metrics is not None
    assert np.abs(arrays["w"].numpy() - 1).max() < 0.3
    assert arrays["w"].dtype == "float32"
    assert arrays["n"].numpy() == 7
    assert metrics["loss"] == 0.5
    assert metrics[LEFT_OUT] == int(not np.isfinite(wild))
    assert [(each.server_round, each.node) for each in made.rejected] == ([] if np.isfinite(wild) else [(1, 4)])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (reply(4, {"w": np.ones((2, 2), np.float32), "n": np.array(7)}), "other arrays than were sent out: w"),
        (reply(4, {"w": np.ones((3, 2), np.int8), "n": np.array(7)}), "other arrays than were sent out: w"),
        (reply(4, {"w": np.ones((3, 2), np.float32)}), "other arrays than were sent out: n"),
        (reply(4, MODELS[3], weight=None), "says of 'num-examples' None"),
        (reply(4, MODELS[3], weight=-5), "says of 'num-examples' -5"),
        (reply(4, MODELS[3], weight=float("nan")), "says of 'num-examples' nan"),
        (reply(4, MODELS[3], weight=[5, 5]), r"says of 'num-examples' \[5, 5\]"),
        (reply(4, MODELS[3], more=ArrayRecord()), "holds 2 and 1 records"),
        (reply(4, ArrayRecord({"w": Array("float32", (3, 2), "numpy.ndarray", b"?"), "n": Array(np.array(7))})), "can't be read"),
        (reply(4, ArrayRecord({"w": Array("float32", (3, 2), "pickle", b"?"), "n": Array(np.array(7))})), "can't be read"),
        (
            reply(
                4, ArrayRecord({"w": Array("float32", (3, 2), "numpy.ndarray", Array(np.ones(9)).data), "n": Array(np.array(7))})
            ),
            "not what they say they are",
        ),
    ],
)
def test_a_reply_that_cannot_be_used_is_told_and_stops_nobody(bad: Any, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("flwr").propagate = True
    made = strategy()
    replies = honest()
    replies[3] = bad
    arrays, metrics = made.aggregate_train(1, replies)
    assert arrays is not None
    assert metrics is not None
    assert metrics[LEFT_OUT] == 1
    assert [each.node for each in made.rejected] == [4]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(made.rejected[0].reason)
    assert "reply of node 4 left out" in caplog.text


@pytest.mark.parametrize("wild", [np.nan, "form"])
def test_a_round_with_more_bad_clients_than_expected_is_refused(wild: Any, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("flwr").propagate = True
    made = strategy(f=1)
    replies = honest()
    bad = {"x": np.ones(1)} if wild == "form" else {"w": np.full((3, 2), wild, np.float32), "n": np.array(7)}
    replies[2:4] = [reply(3, bad), reply(4, bad)]
    assert made.aggregate_train(2, replies) == (None, None)
    assert "round 2 refused" in caplog.text


def test_claims_are_capped_and_a_claim_of_everything_makes_all_alike() -> None:
    replies = honest()
    replies[0] = reply(1, MODELS[0], weight=10**15)
    arrays, _ = strategy(rule="mean", f=0).aggregate_train(1, replies)
    expected = (sum(model["w"] for model in MODELS) + MODELS[0]["w"]) / 11
    assert arrays is not None
    np.testing.assert_allclose(arrays["w"].numpy(), expected, rtol=1e-5)
    arrays, _ = strategy(rule="mean", f=1).aggregate_train(1, replies[:3])
    assert arrays is not None
    np.testing.assert_allclose(arrays["w"].numpy(), np.mean([model["w"] for model in MODELS[:3]], axis=0), rtol=1e-5)
    arrays, _ = strategy(rule="mean", cap=None).aggregate_train(1, replies)
    assert arrays is not None
    np.testing.assert_allclose(arrays["w"].numpy(), np.mean([model["w"] for model in MODELS], axis=0), rtol=1e-5)


def test_whole_rounds_of_a_server() -> None:
    start = ArrayRecord({"w": Array(np.zeros((3, 2), np.float32)), "n": Array(np.array(7))})
    made = RobustFedAvg(rule="multi-krum", mix=True)
    result = made.start(grid=Nodes(), initial_arrays=start, num_rounds=3)
    np.testing.assert_allclose(result.arrays["w"].numpy(), 0.875)
    assert [(each.server_round, each.node) for each in made.rejected] == [(1, 4), (2, 4), (3, 4)]
    assert result.train_metrics_clientapp[3]["loss"] == 0.875


def test_nothing_received_is_nothing_learned() -> None:
    assert strategy().aggregate_train(1, []) == (None, None)
    assert strategy().aggregate_evaluate(1, []) is None
    assert strategy().aggregate_train(1, [reply(1, {"x": np.ones(1)})]) == (None, None)


def test_evaluation_takes_medians_of_what_is_finite() -> None:
    made = strategy()
    replies = [*honest(0.5), reply(11, MODELS[0], loss=float("nan")), reply(12, MODELS[0], loss=1e9, weight=None)]
    found = made.aggregate_evaluate(1, replies)
    assert found is not None
    assert found["loss"] == 0.5
    assert "num-examples" not in found


def test_metrics_of_ones_own_see_only_what_went_into_the_mean() -> None:
    seen: list[int] = []
    made = strategy(train_metrics_aggr_fn=lambda records, _key: seen.append(len(records)))
    replies = honest()
    replies[3] = reply(4, {"x": np.ones(1)})
    arrays, metrics = made.aggregate_train(1, replies)
    assert arrays is not None
    assert (metrics, seen) == (None, [9])


def test_lists_of_metrics_of_odd_lengths_are_left_out() -> None:
    records = [RecordDict({"m": MetricRecord({"a": value})}) for value in ([1.0, 2.0], [3.0, 2.0], [5.0, 8.0], [9.0], 4.0)]
    assert median_metrics(records, "num-examples")["a"] == [3.0, 2.0]


@pytest.mark.parametrize(
    ("chosen", "message"), [({"rule": "best"}, "no rule 'best'"), ({"f": -1}, "f is -1"), ({"cap": 0.0}, "cap is 0")]
)
def test_parameters_without_sense_are_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        RobustFedAvg(**chosen)
