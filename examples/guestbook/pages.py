"""What the guestbook answers."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import faults
import metrics
import store
from log import log
from web import Request, Response

PAGE_ENTRIES = 20
MAX_LIMIT = 100
HEALTH_SECONDS = 1.5
HUGE_BYTES = 1_000_000_000
LONGEST = {"name": 40, "text": 500, "place": 60}
OPTIONAL = {"place"}
FAULTY_PATHS = {"/", "/entries"}

Route = Callable[[Request], Awaitable[Response]]


class Invalid(ValueError):
    """An entry or a query that is not acceptable; the text says why."""


def json_answer(status: int, value: Any) -> Response:
    """Answer with JSON."""
    return Response(status, json.dumps(value).encode())


def valid_entry(fields: dict[str, Any], *, schema: int) -> dict[str, str]:
    """Check a new entry and keep the fields that this schema has.

    Raises:
        Invalid: A field is missing, too long, or not plain text.
    """
    entry = {}
    for name, longest in LONGEST.items():
        value = fields.get(name, "" if name in OPTIONAL else None)
        if not isinstance(value, str) or (not value.strip() and name not in OPTIONAL):
            raise Invalid(f"{name} is missing; give 1 to {longest} characters")
        if len(value) > longest:
            raise Invalid(f"{name} has {len(value)} characters; at most {longest} fit")
        if not all(character.isprintable() or character in "\r\n\t" for character in value):
            raise Invalid(f"{name} has control characters; give plain text")
        entry[name] = value.strip()
    if schema == 1:
        del entry["place"]
    return entry


def fields_of(request: Request) -> dict[str, Any]:
    """Read the fields of a posted entry, from JSON or from a form."""
    try:
        text = request.body.decode()
        if request.headers.get("content-type", "").startswith("application/json"):
            fields = json.loads(text)
        else:
            fields = dict(parse_qsl(text, keep_blank_values=True))
    except (ValueError, RecursionError):
        raise Invalid("the body cannot be read; send a form or a JSON object in UTF-8") from None
    if not isinstance(fields, dict):
        raise Invalid("the body is not an object; send name and text")
    return fields


def limit_of(query: dict[str, str]) -> int:
    """Read how many entries are wanted."""
    text = query.get("limit", str(PAGE_ENTRIES))
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise Invalid(f"limit is not a number from 1 to {MAX_LIMIT}")
    return int(text)


def html_entry(entry: dict[str, Any]) -> str:
    """Show one entry; everything that visitors wrote is escaped."""
    moment = datetime.fromtimestamp(entry["written"], UTC).strftime("%Y-%m-%d %H:%M")
    author = html.escape(entry["name"])
    if entry.get("place"):
        author += f", {html.escape(entry['place'])}"
    return f"<li><p>{html.escape(entry['text'])}</p><small>{author}, {moment} UTC</small></li>"


def html_page(entries: list[dict[str, Any]], version: str, *, schema: int) -> str:
    """Show the newest entries and the form for a new one."""
    names = [name for name in LONGEST if schema > 1 or name != "place"]
    inputs = "".join(f'<input name="{name}" maxlength="{LONGEST[name]}" placeholder="{name}">' for name in names)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Guestbook</title>
<style>body {{ font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 2rem auto }} li {{ list-style: none }}</style></head>
<body><h1>Guestbook</h1>
<form method="post" action="/entries">{inputs}<button>Sign</button></form>
<ul>{"".join(map(html_entry, entries)) or "<li>Be the first to write.</li>"}</ul>
<small>guestbook {html.escape(version)}</small></body></html>
"""


class Service:
    """The service's state and its routes.

    Args:
        version: The version to be.
        entries: Where the entries are.
        injector: What goes wrong on purpose.
    """

    def __init__(self, version: str, entries: store.Store, injector: faults.Injector) -> None:
        """Start not ready: the schema comes first."""
        self.version, self.store, self._injector = version, entries, injector
        self.schema = store.schema_of(version)
        self.ready = False
        self.not_ready_because = "the schema is being migrated"
        self._metrics = metrics.Metrics()
        self._routes: dict[str, dict[str, Route]] = {
            "/": {"GET": self._page},
            "/entries": {"GET": self._entries, "POST": self._sign},
            "/healthz": {"GET": self._healthz},
            "/readyz": {"GET": self._readyz},
            "/version": {"GET": self._version},
            "/metrics": {"GET": self._exposition},
        }

    async def answer(self, request: Request) -> Response:
        """Answer a request: faults first, then the route; whatever goes wrong is an answer and a log line."""
        methods = self._routes.get(request.path)
        if methods is None:
            return json_answer(404, {"error": "no such page"})
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            return Response(405, b'{"error": "method not allowed"}', headers={"Allow": ", ".join(methods)})
        if await self._is_to_fail(request.path):
            return self._problem(request, 500, "injected fault")
        return await self._answer_safely(request, route)

    def observe(self, request: Request, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._metrics.observe(request.path if request.path in self._routes else "other", status, seconds)

    async def _answer_safely(self, request: Request, route: Route) -> Response:
        """Answer by the route, or say what went wrong."""
        try:
            return await route(request)
        except Invalid as error:
            log("INFO", f"{request.method} {request.path} answered 400: {error}")
            return json_answer(400, {"error": str(error)})
        except store.DatabaseError as error:
            return self._problem(request, 503, f"the database failed: {error}")
        except Exception as error:  # noqa: BLE001 - one bad request must not end the connection without an answer
            return self._problem(request, 500, f"{type(error).__name__}: {error}")

    def _problem(self, request: Request, status: int, reason: str) -> Response:
        """Log what went wrong; the client learns no details."""
        log("ERROR", f"{request.method} {request.path} answered {status}: {reason}")
        return json_answer(status, {"error": "something went wrong; try again"})

    async def _is_to_fail(self, path: str) -> bool:
        """Draw the faults of this request, and be slow where that is drawn."""
        if path not in FAULTY_PATHS and not (path == "/healthz" and self._injector.fault.fault_health):
            return False
        failing, delay_seconds = self._injector.draw()
        if delay_seconds:
            await asyncio.sleep(delay_seconds)
        return failing

    async def _page(self, _: Request) -> Response:
        entries = await self.store.call(store.newest, PAGE_ENTRIES)
        page = html_page(entries, self.version, schema=self.schema)
        return Response(200, page.encode(), "text/html; charset=utf-8", {"Cache-Control": "no-store"})

    async def _entries(self, request: Request) -> Response:
        return json_answer(200, {"entries": await self.store.call(store.newest, limit_of(request.query))})

    async def _sign(self, request: Request) -> Response:
        entry = valid_entry(fields_of(request), schema=self.schema)
        number = await self.store.call(store.add, entry)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return Response(303, headers={"Location": "/"})
        return json_answer(201, {"id": number, **entry})

    async def _healthz(self, request: Request) -> Response:
        fault = self._injector.fault
        if fault.hang_health:
            await asyncio.Event().wait()
        if fault.huge_health:
            return Response(200, filler_bytes=HUGE_BYTES)
        if fault.redirect_health:
            return Response(302, headers={"Location": fault.redirect_health})
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self.store.call(store.check)
        except TimeoutError:
            return self._problem(request, 503, f"the database did not answer within {HEALTH_SECONDS} s")
        return json_answer(200, {"status": "ok"})

    async def _readyz(self, _: Request) -> Response:
        if self._injector.fault.never_ready:
            return json_answer(503, {"ready": "no", "reason": "injected fault"})
        if not self.ready:
            return json_answer(503, {"ready": "no", "reason": self.not_ready_because})
        return json_answer(200, {"ready": "yes"})

    async def _version(self, _: Request) -> Response:
        return json_answer(200, {"service": "guestbook", "version": self._injector.fault.report_version or self.version})

    async def _exposition(self, _: Request) -> Response:
        return Response(200, self._metrics.render(self.version).encode(), metrics.CONTENT_TYPE)
