"""A server that is wrong in every way a Prometheus, or what stands before one, can be; the first part of the path says which."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from tests.faulty_http import FaultyHandler, FaultyHttp, running


class Handler(FaultyHandler):
    """Answers by the path."""

    server: FaultyPrometheus

    def take(self, body: bytes) -> None:  # noqa: ARG002 - a query says nothing to it
        """Note who asked, and answer as the path says."""
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))
        self.answer(self.path.split("/")[1])

    def answer_empty(self) -> None:
        """Know no series."""
        self._say(200, {"status": "success", "data": {"resultType": "vector", "result": []}})

    def answer_busy(self) -> None:
        """Be overloaded, in the API's own words."""
        self._say(503, {"status": "error", "errorType": "timeout", "error": "query timed out in expression evaluation"})

    def answer_gateway(self) -> None:
        """Be a gateway without a Prometheus behind it."""
        self._reply(502, b"<html>bad gateway</html>")

    def answer_parser(self) -> None:
        """Not understand."""
        self._say(400, {"status": "error", "errorType": "bad_data", "error": 'invalid parameter "query": 1:5: parse error: what?'})

    def answer_execution(self) -> None:
        """Not be able to carry it out."""
        self._say(422, {"status": "error", "errorType": "execution", "error": "found duplicate series"})

    def answer_locked(self) -> None:
        """Want other credentials."""
        self._reply(401, b"who are you?")

    def answer_elsewhere(self) -> None:
        """Point to another server."""
        self._reply(307, b"", Location=f"http://127.0.0.1:{self.server.other_port}/empty/api/v1/query?token=s3cret")

    def answer_astray(self) -> None:
        """Point nowhere."""
        self._reply(307, b"", Location="http://[s3cret:x/")

    def answer_html(self) -> None:
        """Be something else altogether."""
        self._reply(200, b"<html>hello</html>")

    def answer_packed(self) -> None:
        """Pack what was asked for plain."""
        self._reply(200, b"\x1f\x8b", **{"Content-Encoding": "gzip, gzip"})

    def answer_strange(self) -> None:
        """Be JSON, but not this API's."""
        self._say(200, {"status": "success", "data": {"resultType": "vector", "result": [{"value": 3}]}})

    def answer_partial(self) -> None:
        """Have lost a part of the data."""
        self._say(200, {"status": "success", "warnings": ["store-2 is unavailable"], "data": {"resultType": "vector", "result": []}})

    def answer_remark(self) -> None:
        """Say something about the expression, and have everything."""
        words = ["PromQL info: metric might not be a counter"]
        self._say(200, {"status": "success", "warnings": words, "data": {"resultType": "vector", "result": []}})

    def answer_deep(self) -> None:
        """Nest without end."""
        self._reply(200, b"[" * 200_000)

    def _say(self, status: int, what: Any) -> None:
        self._reply(status, json.dumps(what).encode())


class FaultyPrometheus(FaultyHttp):
    """Knows what it was asked, and with which credentials."""

    def __init__(self) -> None:
        """Listen."""
        super().__init__(Handler)
        self.asked: list[tuple[str, str]] = []
        self.other_port = self.server_port


def serving() -> contextlib.AbstractContextManager[FaultyPrometheus]:
    """Serve until the end of the block."""
    return running(FaultyPrometheus())
