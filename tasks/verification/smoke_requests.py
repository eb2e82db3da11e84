"""Walk once through the HTTP steps of a smoke test, like one visitor, and tell what came back."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from blocks.outside_text import LINE_LIMIT, OutsideText, outside
from tasks.rules.plan.smoke import SmokeStep
from tasks.rules.record.masking import mask, secrets_in_header
from tasks.rules.verification.smoke_step import Answer, describe_expectation, describe_request, fault_of_answer, path_of, text_of
from tasks.verification.health import read_body

SHOWN_CHARACTERS = 500
OURS = {"User-Agent": "shipway-smoke", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Visit:
    """Who walks where.

    Fields:
        steps: The requests in their order.
        url: Base URL of the revision.
        version: Replaces `{version}`.
        secrets: Values of secret headers, by block.
        trust: Which certificates are believed; shared, because it costs more than a request.
        deadline: When it must be over, on the monotonic clock in seconds.
    """

    steps: Sequence[SmokeStep]
    url: str
    version: str
    secrets: Mapping[str, SecretStr]
    trust: ssl.SSLContext
    deadline: float


@dataclass(frozen=True)
class Walked:
    """What one walk found.

    Fields:
        seconds: How long each step took that was answered as expected.
        fault: What was wrong with the next one, in a sentence, or "".
        lines: The walk for people: a line a step, and all about the one that failed. No secret is in here.
    """

    seconds: tuple[float, ...]
    fault: OutsideText
    lines: tuple[OutsideText, ...]


async def walk(visit: Visit, *, in_time: bool = True) -> Walked:
    """Send the steps in their order; cookies are kept, redirects are answers, the first fault is the end.

    Args:
        visit: Who walks where.
        in_time: Whether a step that takes longer than its own limit is a fault; else only the deadline counts.

    Returns:
        What was found; nothing that the other side does raises.
    """
    seconds: list[float] = []
    lines: list[OutsideText] = []
    # One client a walk, so that no cookie crosses from one walk to another.
    async with httpx.AsyncClient(verify=visit.trust, follow_redirects=False, trust_env=False, timeout=None, headers=OURS) as client:  # noqa: S113
        for number, step in enumerate(visit.steps, start=1):
            answer = await _send(client, visit, step, in_time=in_time)
            label = f"step {number}{f' ({step.name})' if step.name else ''}: {step.method} {path_of(step, visit.version)}"
            fault = _clean(visit, fault_of_answer(answer, step.expect, version=visit.version, in_time=in_time))
            lines.append(outside(f"{label} {answer.status or 'no answer'} after {answer.seconds * 1000:.1f} ms"))
            if fault:
                return Walked(tuple(seconds), outside(f"{label} {fault}"), (*lines, *_all_about(visit, step, answer, fault)))
            seconds.append(answer.seconds)
    return Walked(tuple(seconds), outside(""), tuple(lines))


async def _send(client: httpx.AsyncClient, visit: Visit, step: SmokeStep, *, in_time: bool) -> Answer:
    start = time.monotonic()
    left, within = visit.deadline - start, step.expect.within_seconds if in_time else None
    limit, over = (left, "before the test's time was up") if within is None or left < within else (within, f"within {within:g} s")
    url = visit.url.rstrip("/") + path_of(step, visit.version)
    try:
        async with asyncio.timeout(limit), client.stream(step.method, url, **_content(visit, step)) as response:
            body, cut = await read_body(response)
        return Answer(response.status_code, time.monotonic() - start, dict(response.headers), body, cut=cut)
    except TimeoutError:
        return Answer(None, time.monotonic() - start, error=f"gave no whole answer {over}")
    except httpx.LocalProtocolError:  # its words hold the header, in spellings that nobody can foresee
        return Answer(None, time.monotonic() - start, error="was not asked: a header or the body cannot be sent as it is written")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(None, time.monotonic() - start, error=f"gave no answer: {type(error).__name__} {error}".strip())


def _content(visit: Visit, step: SmokeStep) -> dict[str, Any]:
    headers = step.headers | {name: visit.secrets[block].get_secret_value() for name, block in step.secret_headers.items()}
    return {"headers": headers, "json": step.json_body, "content": step.body, "data": step.form}


def _all_about(visit: Visit, step: SmokeStep, answer: Answer, fault: str) -> list[OutsideText]:
    body = "" if answer.cut else _clean(visit, text_of(answer.body))
    sent = _clean(visit, describe_request(step, visit.version))
    told = [
        f"  fault: {fault}",
        f"  sent: {sent.replace(chr(10), chr(10) + '    ')}",
        f"  expected: {_clean(visit, describe_expectation(step.expect, visit.version))}",
        f"  came back: {answer.status or 'nothing'}{f', {body}' if body else ''}",
    ]
    return [outside(line, lines=True) for line in told]


def _clean(visit: Visit, text: str) -> OutsideText:
    """Mask before cutting, as half a secret is one too, and once more what an escape sequence had parted."""
    forms = [form for secret in visit.secrets.values() for form in secrets_in_header(secret.get_secret_value())]
    clean = str(mask(outside(mask(text, forms), limit=len(text) + LINE_LIMIT, lines=True), forms))
    return outside(clean, limit=SHOWN_CHARACTERS, lines=True)
