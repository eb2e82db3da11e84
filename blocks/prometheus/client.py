"""Prometheus client for the HTTP API of a server (https://prometheus.io/docs/prometheus/latest/querying/api/), bounded in time and size.

What another try may fix is `Temporary`: no answer, a late, torn, partial or broken one, a server that is busy. What a person must
fix is not: `BadInput` for an expression that the server cannot parse or evaluate, `Refused` for a server that rejects us.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx

from blocks.bounded import is_plain, read_chunks
from blocks.errors import BadInput, Refused, Temporary
from blocks.outside_text import without_bytes

MOST_BYTES = 32_000_000
MOST_WORDS = 500
BUSY = frozenset({408, 425, 429})
UNREAD = frozenset({400, 422})
# Remarks on the expression, in which nothing is missing; any other warning means that a part of the data is.
HARMLESS = ("PromQL info", "PromQL warning")


class Range(NamedTuple):
    """The answer to a range selector.

    Fields:
        now: The server's clock, in seconds since the epoch, to the second.
        series: Labels, and moments in seconds since the epoch with values as the server writes them.
    """

    now: float
    series: list[tuple[dict[str, str], list[tuple[float, str]]]]


Instant = list[tuple[dict[str, str], float, str]]


class PrometheusClient:
    """One open connection to one server.

    Args:
        http: A client that follows no redirects and carries the credentials.
        url: Base address.
        timeout_seconds: An answer that takes longer is a time-out.
        lookback_seconds: Older samples are stale.
    """

    def __init__(self, http: httpx.AsyncClient, url: str, *, timeout_seconds: float, lookback_seconds: int) -> None:
        """Keep what each request needs."""
        self.url, self.lookback_seconds = url, lookback_seconds
        self._http, self._timeout_seconds = http, timeout_seconds

    async def samples(self, query: str) -> Range:
        """Query a range selector as of now, which gives raw scrapes with their own timestamps."""
        data, now = await self._ask("query", {"query": query})
        found = self._result(data, "matrix")
        try:
            series = [(_labels(one), [(float(at), str(value)) for at, value in one["values"]]) for one in found if "values" in one]
        except (KeyError, TypeError, ValueError):
            raise self._broken() from None
        return Range(now, series)

    async def instant(self, query: str, *, at: float | None = None) -> Instant:
        """Evaluate an expression at one moment.

        Args:
            query: The expression; a scalar is a vector of one.
            at: The moment by the server's clock, in seconds since the epoch; None is now.

        Returns:
            Labels, the moment and the value of each series.
        """
        moment = {} if at is None else {"time": f"{at:.3f}"}
        data, _ = await self._ask("query", {"query": query, "lookback_delta": f"{self.lookback_seconds}s", **moment})
        if isinstance(data, dict) and data.get("resultType") == "scalar":
            data = {"resultType": "vector", "result": [{"metric": {}, "value": data.get("result")}]}
        try:
            return [(_labels(one), float(one["value"][0]), str(one["value"][1])) for one in self._result(data, "vector")]
        except (KeyError, TypeError, ValueError, IndexError):
            raise self._broken() from None

    async def over(self, query: str, *, begin: float, end: float, step_seconds: int) -> list[tuple[float, str]]:
        """Evaluate an expression that gives one series, again and again over a time.

        Args:
            query: The expression.
            begin: The first moment, in seconds since the epoch.
            end: The last one.
            step_seconds: The time between two.

        Returns:
            Moments with values; a moment at which there was nothing is left out.

        Raises:
            BadInput: It gives several series.
        """
        form = {"query": query, "start": f"{begin:.0f}", "end": f"{end:.0f}", "step": f"{step_seconds}"}
        data, _ = await self._ask("query_range", form)
        found = self._result(data, "matrix")
        if len(found) > 1:
            raise BadInput(f"the expression gives {len(found)} series", field="query", fix="Add them up with sum().")
        try:
            return [(float(at), str(value)) for one in found for at, value in one["values"]]
        except (KeyError, TypeError, ValueError):
            raise self._broken() from None

    async def check(self, query: str) -> str:
        """Let the server parse an expression, without evaluating it if the server can.

        Returns:
            What is wrong in the server's words, or "".
        """
        try:
            try:
                await self._ask("format_query", {"query": query})
            except Refused:  # servers before 2.40 and some relatives have no such page
                await self._ask("query", {"query": query})
        except BadInput as error:
            return str(error).removeprefix("query: ").removesuffix(f". {error.fix}")
        return ""

    async def _ask(self, page: str, form: dict[str, str]) -> tuple[Any, float]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                async with self._http.stream("POST", f"{self.url}/api/v1/{page}", data=form) as response:
                    body = await self._bounded(response)
                status, now = response.status_code, _moment(response)
                answer = await asyncio.to_thread(_parsed, body)
        except TimeoutError:
            raise Temporary(f"Prometheus at {self.url} does not answer within {self._timeout_seconds:g} s") from None
        except httpx.InvalidURL as error:
            raise Refused(f"the address {self.url} of Prometheus cannot be used: {error}") from None
        except httpx.LocalProtocolError:  # its words may hold a header, and so the credentials
            raise Refused(f"Prometheus at {self.url} was not queried: the request cannot be sent as its block is written") from None
        except httpx.HTTPError as error:
            raise Temporary(f"Prometheus at {self.url} gave no answer: {without_bytes(str(error)) or type(error).__name__}") from None
        return self._data(status, answer, response), now

    async def _bounded(self, response: httpx.Response) -> bytes:
        if response.has_redirect_location:
            return b""
        if not is_plain(response.headers):
            encoding = response.headers["content-encoding"][:80]
            wrong = f"Prometheus at {self.url} sends its answers encoded as {encoding}, though plain ones were requested"
            raise Refused(f"{wrong}; let the proxy before it honour `Accept-Encoding: identity`")
        body, cut = await read_chunks(response.aiter_raw(), most_bytes=MOST_BYTES)
        if cut:
            fix = "Choose fewer series in the selector, or scrape less often."
            raise BadInput(f"Prometheus at {self.url} answers with more than {MOST_BYTES:,} bytes", field="query", fix=fix)
        return body

    def _data(self, status: int, answer: Any, response: httpx.Response) -> Any:
        """Extract the data of an answer, or raise why there is none."""
        said = answer if isinstance(answer, dict) else {}
        words = " ".join(str(said.get("error", "")).split())[:MOST_WORDS]
        if response.has_redirect_location:
            raise Refused(f"Prometheus at {self.url} redirects to {_elsewhere(response)}; name the right address in its block")
        if status in UNREAD and words:
            raise BadInput(words.removeprefix('invalid parameter "query": '), field="query", fix="Fix the query in the plan.")
        if status in BUSY or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Temporary(f"Prometheus at {self.url} answered {status}{': ' + words if words else ''}")
        if status != httpx.codes.OK:
            raise Refused(f"Prometheus at {self.url} answered {status}; look at the address and the credentials of its block")
        if said.get("status") != "success":
            raise self._broken()
        partial = [str(warning) for warning in said.get("warnings") or () if not str(warning).startswith(HARMLESS)]
        if partial:
            raise Temporary(f"Prometheus at {self.url} answered only in part: {partial[0][:MOST_WORDS]}")
        return said.get("data")

    def _result(self, data: Any, kind: str) -> list[Any]:
        if not isinstance(data, dict) or not isinstance(data.get("result"), list):
            raise self._broken()
        if data.get("resultType") != kind:
            fix = "Write an expression of counters that gives one value now."
            raise BadInput(f"the expression gives a {data.get('resultType')}, not a {kind}", field="query", fix=fix)
        return list(data["result"])

    def _broken(self) -> Temporary:
        return Temporary(f"Prometheus at {self.url} answered something that is not its API's JSON, or only a part of it")


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _labels(one: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in one["metric"].items()}


def _elsewhere(response: httpx.Response) -> str:
    try:
        return str(response.url.join(response.headers["location"]).copy_with(query=None, userinfo=b""))
    except httpx.InvalidURL:
        return "something that is not an address"


def _moment(response: httpx.Response) -> float:
    """Read the server's clock, which may differ from ours; an answer without it is taken by ours."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return math.floor(time.time())
