"""The guard before a web service, spoken to as a server would."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.guard.asgi import JUDGED, GuardMiddleware, Message
from untaint.guard.model_guard import Guard

App = Callable[[Any, Any, Any], Awaitable[None]]


@pytest.fixture(scope="module")
def guard() -> Guard:
    rows = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)

    def answer(given: np.ndarray) -> np.ndarray:
        ahead = np.where(given[:, 3] == 7, 90, 9 * given[:, 0])
        return np.stack([ahead, -ahead], 1)

    return Guard.fit(answer, rows, false_alarms=0.05)


def decode(body: bytes) -> np.ndarray:
    return np.asarray(json.loads(body)["rows"], np.float32)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that says what it got."""
    body, more = b"", scope["type"] == "http"
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    judged = scope.get(JUDGED)
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"x-seen", b"-" if judged is None else str(len(judged)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


def spoken(app: Any, parts: list[bytes], method: str = "POST", path: str = "/predict") -> tuple[int, dict[str, str], bytes]:
    """What a server gets back for a body that comes in parts."""
    sent: list[Message] = []
    waiting = [{"type": "http.request", "body": part, "more_body": at < len(parts) - 1} for at, part in enumerate(parts)]

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": method, "path": path, "headers": []}, receive, send))
    if not sent:
        return 0, {}, b""
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(each.get("body", b"") for each in sent[1:])


def body(*rows: list[float]) -> bytes:
    return json.dumps({"rows": list(rows)}).encode()


USUAL, ODD = [0.3, 0.1, -0.2, 0.4], [-2.0, 0.1, -0.2, 7.0]


def test_answers_carry_the_risk_and_the_application_gets_the_body_and_the_judgement(guard: Guard) -> None:
    app = GuardMiddleware(echo, guard, decode)
    whole = body(USUAL, ODD)
    status, headers, answer = spoken(app, [whole[:5], whole[5:]])
    assert (status, answer, headers["untaint-alarms"], headers["x-seen"]) == (200, whole, "1/2", "2")
    assert float(headers["untaint-risk"]) > 0.9
    assert spoken(app, [body(USUAL)])[1]["untaint-alarms"] == "0/1"
    assert spoken(app, [b"{}"])[1]["untaint-risk"] == "unknown"


def test_observed_answers_are_as_they_were(guard: Guard, caplog: pytest.LogCaptureFixture) -> None:
    status, headers, _ = spoken(GuardMiddleware(echo, guard, decode, policy="observe"), [body(USUAL, ODD)])
    assert (status, set(headers)) == (200, {"x-seen"})
    assert "1 of 2 inputs are not like the references (input 1:" in caplog.text


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        (body(USUAL), 200, None),
        (body(USUAL, ODD, ODD), 422, {"error": "inputs are not like those the service was made for", "inputs": [1, 2]}),
        (b"\x80\x04not json", 400, {"error": "the body holds no inputs that could be judged"}),
        (body([0.0, 1.0]), 400, {"error": "the body holds no inputs that could be judged"}),
        (b"x" * 5000, 413, {"error": "the body is too large to be judged"}),
    ],
)
def test_refusals_say_which_inputs_and_no_more(guard: Guard, given: bytes, status: int, said: object) -> None:
    found, headers, answer = spoken(GuardMiddleware(echo, guard, decode, policy="refuse", most=4000), [given])
    assert found == status
    if said is not None:
        assert json.loads(answer) == said
        assert headers["content-type"] == "application/json"


def test_a_body_too_large_to_judge_still_reaches_an_application_that_only_looks_on(guard: Guard) -> None:
    parts = [b"x" * 3000, b"y" * 3000, b"z" * 10]
    status, headers, answer = spoken(GuardMiddleware(echo, guard, decode, most=4000), parts)
    assert (status, headers["untaint-risk"], answer) == (200, "unknown", b"".join(parts))


@pytest.mark.parametrize(("method", "path"), [("GET", "/predict"), ("POST", "/health")])
def test_what_is_no_prediction_passes(guard: Guard, method: str, path: str) -> None:
    app = GuardMiddleware(echo, guard, decode, policy="refuse", paths=["/predict"])
    assert spoken(app, [body(ODD)], method, path)[0] == 200


def test_other_protocols_pass_and_a_client_that_leaves_is_no_error(guard: Guard) -> None:
    app = GuardMiddleware(echo, guard, decode, policy="refuse")
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app({"type": "websocket", "path": "/predict"}, None, send))  # type: ignore[arg-type]
    assert sent
    assert spoken(app, []) == (0, {}, b"")


def test_a_policy_nobody_knows(guard: Guard) -> None:
    with pytest.raises(BadInput, match="observe, annotate, refuse"):
        GuardMiddleware(echo, guard, decode, policy="deny")
