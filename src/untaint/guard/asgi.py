"""A guard before a web service: plain ASGI, for Starlette, FastAPI, Litestar, Quart, Django or no framework."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, final

import numpy as np

from untaint.guard.model_guard import Guard, Judged
from untaint.guard.policy import checked, logged
from untaint.nets.subject import Inputs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_MOST = 32 * 1024 * 1024
"""Bytes of a body held in memory to be judged: a batch of photographs, not a film."""
_LOG = logging.getLogger("untaint.guard")
JUDGED = "untaint.judged"
"""Where in the scope the application finds the `Judged`, None = the body could not be judged."""


@final
class GuardMiddleware:
    """Judges what is posted before the application sees it.

    app: the application.  guard: a fitted guard.  decode: the body's bytes to inputs (n, ...), as the application reads them; what it
    raises means that the body holds none.  paths: those that predict, None = all.  most: bytes judged at most.
    policy:

    - "observe": alarms go to the log `untaint.guard`;
    - "annotate": the answer carries `untaint-alarms: 1/4` and `untaint-risk: 0.9987`, the highest, or `unknown` for a body that could
      not be judged. Take these headers off before answers leave the house: they would teach an attacker what passes;
    - "refuse": a request with an alarm is answered with 422 and says which inputs, one that can't be judged with 400, one that is
      too large with 413.

    Only POST, PUT and PATCH are judged. The application finds the judgement, logits and all, at `scope["untaint.judged"]`, so that
    it need not ask the model again. Judging runs in a thread.

    Example:
        app = GuardMiddleware(app, guard, decode=lambda body: np.asarray(json.loads(body)["rows"], np.float32), paths=["/predict"])

    """

    def __init__(
        self,
        app: App,
        guard: Guard,
        decode: Callable[[bytes], Inputs],
        *,
        policy: str = "annotate",
        paths: Sequence[str] | None = None,
        most: int = _MOST,
    ) -> None:
        self.app, self.guard, self.decode = app, guard, decode
        self.policy = checked(policy)
        self.paths = None if paths is None else frozenset(paths)
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI has it."""
        asked = scope["type"] == "http" and scope["method"] in {"POST", "PUT", "PATCH"}
        if not asked or (self.paths is not None and scope["path"] not in self.paths):
            await self.app(scope, receive, send)
            return
        messages, body = await _read(receive, self.most)
        if messages[-1]["type"] == "http.disconnect":
            return
        judged = None if body is None else await asyncio.to_thread(self._judged, body)
        scope[JUDGED] = judged
        if self.policy == "refuse" and (judged is None or judged.alarm.any()):
            await _refuse(send, judged, too_large=body is None)
            return
        answer = _annotating(send, judged) if self.policy == "annotate" else send
        await self.app(scope, _replayed(messages, receive), answer)

    def _judged(self, body: bytes) -> Judged | None:
        try:
            judged = self.guard(self.decode(body))
        except Exception as error:  # noqa: BLE001 - decoders are the user's, and bodies are anybody's
            _LOG.warning("a body of %s bytes could not be judged: %s", len(body), error)
            return None
        logged(judged)
        return judged


async def _read(receive: Receive, most: int) -> tuple[list[Message], bytes | None]:
    """Messages of a body as they came, and the body; None = it is too large, and some of it may still come."""
    messages, size = [], 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if size > most:
            return messages, None
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages, b"".join(each.get("body", b"") for each in messages)


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    waiting = iter(messages)

    async def again() -> Message:
        for message in waiting:
            return message
        return await receive()

    return again


def _annotating(send: Send, judged: Judged | None) -> Send:
    if judged is None:
        headers = [(b"untaint-risk", b"unknown")]
    else:
        highest = float(judged.risk.max()) if len(judged) else 0.0
        counted = f"{int(judged.alarm.sum())}/{len(judged)}"
        headers = [(b"untaint-risk", f"{highest:.4f}".encode()), (b"untaint-alarms", counted.encode())]

    async def annotated(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *headers]}
        await send(message)

    return annotated


async def _refuse(send: Send, judged: Judged | None, *, too_large: bool) -> None:
    if judged is not None:
        rows = np.flatnonzero(judged.alarm).tolist()
        status, said = 422, {"error": "inputs are not like those the service was made for", "inputs": rows}
    elif too_large:
        status, said = 413, {"error": "the body is too large to be judged"}
    else:
        status, said = 400, {"error": "the body holds no inputs that could be judged"}
    body = json.dumps(said).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
