"""Calendars of others: read from an address or a file, bounded in size, time and memory; no error shows an address, which may be secret."""

from __future__ import annotations

import asyncio
import json
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from prefect.settings import PREFECT_API_URL

from blocks import processes
from blocks.bounded import PLAIN, is_plain, read_chunks
from blocks.commands import run_module
from blocks.errors import BadInput, Refused, ShipwayError, Temporary, Unreachable
from blocks.own_path import NotOwn, open_own
from tasks.process.tls import trust
from tasks.rollout.credentials import held
from tasks.rules.plan.credentials import calendar_refusal
from tasks.rules.windows.address import is_credential, is_web
from tasks.rules.windows.ics import Events
from tasks.rules.windows.opening import HORIZON
from tasks.rules.windows.window import Interval

MOST_BYTES = 3_000_000
SECONDS = 10
PROGRAM = "tasks.windows.calendar_process"
PROCESS_SECONDS = 30
AHEAD = HORIZON + timedelta(days=8)  # a day until it is read anew, and a week more
FIX = "See that it is the address of an iCalendar file; docs/windows.md says how it is read."


async def fetch(ics: str) -> bytes:
    """Read the calendar at an address, a file, or the address that a credential block holds.

    Raises:
        ShipwayError: It cannot be read; names the host, the file or the block alone.
    """
    if ics.startswith("/"):
        return await asyncio.to_thread(_read_file, Path(ics))
    return await _get(await _address_in(ics) if is_credential(ics) else ics)


async def expand(content: bytes, *, zone: str, at: datetime) -> Events:
    """Read when the events of a calendar take place, in a process of its own; what never ends is cut off after two years.

    Raises:
        BadInput: It is not a calendar that can be read.
    """
    environment = processes.passed_on("PYTHONTZPATH", "VIRTUAL_ENV")
    arguments = (zone, at.isoformat(), (at + AHEAD).isoformat())
    ended = await run_module(PROGRAM, *arguments, timeout_seconds=PROCESS_SECONDS, given=content, environment=environment)
    if ended.fault or ended.cut:
        why = ended.how or "found more than 2 MB of events"
        wrong = f"the calendar takes too much time or memory: the process that reads it {why}"
        raise BadInput(wrong, field="ics", fix="Look for an event that recurs without a match.")
    found = json.loads(ended.output)
    if wrong := found.get("wrong"):
        raise Refused(wrong)
    spans = (Interval(datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC), title) for begin, end, title in found["spans"])
    return Events(tuple(spans), found["digest"])


async def _address_in(block: str) -> str:
    """Give the address that a credential block holds; the value itself is never shown."""
    if not PREFECT_API_URL.value():  # else Prefect would start a server for this question
        raise Unreachable(f"no Prefect server is configured here, which has the block {block}")
    try:
        async with asyncio.timeout(SECONDS):
            found = await held(block, field="ics")
    except TimeoutError:
        raise Unreachable(f"the Prefect server does not answer within {SECONDS} s for the block {block}") from None
    address = found.value.get_secret_value().strip()
    if not is_web(address):
        raise BadInput(f"the block {block} does not hold the address of a calendar", field="ics", fix="Store an address with https in it.")
    if (wrong := calendar_refusal(block, address, found.hosts)) is not None:
        raise BadInput(wrong[0], field="ics", fix=wrong[1])
    return address


def _read_file(path: Path) -> bytes:
    try:
        real, file = open_own(path)
        with file:
            if not stat.S_ISREG(real.stat().st_mode):
                raise Refused(f"{path} is not a regular file")
            content = file.read(MOST_BYTES + 1)
    except NotOwn as error:
        raise Refused(f"others can change {path}: {error}") from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    return _short_enough(content, str(path))


def _short_enough(content: bytes, whose: str) -> bytes:
    if len(content) > MOST_BYTES:
        wrong = f"the calendar {whose} has more than {MOST_BYTES // 1_000_000} MB"
        raise BadInput(wrong, field="ics", fix="Name a calendar of its own for these windows.")
    return content


async def _get(address: str) -> bytes:
    """Ask for a calendar; where else its server points to is not followed."""
    host = urlsplit(address).hostname or "its host"
    try:
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(verify=await trust(environment=True), timeout=SECONDS) as client:  # noqa: SIM117
            async with client.stream("GET", address, headers=PLAIN) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise _refusal(host, answer.status_code)
                if not is_plain(answer.headers):
                    raise Refused(f"{host} answers in a compressed form, which was not asked for")
                content, _ = await read_chunks(answer.aiter_raw(), most_bytes=MOST_BYTES + 1)
    except TimeoutError:
        raise Unreachable(f"{host} does not answer within {SECONDS} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise Unreachable(f"{host} does not answer ({_in_words(error)})") from None  # its own words may hold the address
    return _short_enough(content, f"of {host}")


def _refusal(host: str, status: int) -> ShipwayError:
    if status in {401, 403, 404, 410}:
        return Refused(f"{host} answers {status}: see that the address is right, and that it needs no sign-in")
    if status in range(300, 400):
        return Refused(f"{host} answers {status}, and points elsewhere: write the address to which it points")
    return Temporary(f"{host} answers {status}")


def _in_words(error: BaseException | None) -> str:
    kind = type(error).__name__
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its TLS certificate is not trusted: {error.verify_message}"
        error = error.__cause__ or error.__context__
    return kind
