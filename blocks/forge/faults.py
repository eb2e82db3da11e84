"""What a forge's answer means if it is not a good one, as an error that says what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from blocks.errors import BadInput, Refused, ShipwayError, Temporary, Unreachable

PART = "pull_requests"
REDIRECTS = range(300, 400)
LIMITED = re.compile(r"rate limit|abuse detection|too many requests", re.IGNORECASE)
WITHOUT_A_TIME_SECONDS, MOST_SECONDS = 60.0, 3_600.0  # GitHub asks for a minute if it names none


def fault_of(status: int, said: str, headers: Mapping[str, str], *, what: str, rights: str, now: float, part: str = PART) -> ShipwayError:
    """Make an error of an answer.

    Args:
        status: Its status.
        said: Its words, cleaned.
        headers: Its headers, with names in lower case.
        what: Which forge was asked for what, for the message.
        rights: The rights that the token needs.
        now: Seconds since 1970.
        part: The block's part that holds the settings, for messages.
    """
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and _is_limited(said, headers)):
        delay = delay_of(headers, now=now)
        return Temporary(f"{what}: too many requests, again in {delay:.0f} s: {said}", delay_seconds=delay)
    if status == HTTPStatus.UNAUTHORIZED:
        return BadInput(f"{what}: the token is not accepted: {said}", field=f"{part}.token", fix=f"Make a new one: {rights}.")
    if status == HTTPStatus.FORBIDDEN:
        return Refused(f"{what}: the token may not do this: {said}. Give it the rights: {rights}")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        fix = f"Look at `repository` and `api`; a forge also says this if the token cannot see it: {rights}."
        return BadInput(f"{what}: it is not there: {said}", field=f"{part}.repository", fix=fix)
    if status in REDIRECTS:
        fix = "Write the final address and the present name of the repository."
        return BadInput(f"{what}: it is redirected, and the token goes nowhere else", field=f"{part}.api", fix=fix)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return Unreachable(f"{what}: it answered {status}: {said}", delay_seconds=delay_of(headers, now=now, without=1.0))
    return Refused(f"{what}: it answered {status}: {said}")


def _is_limited(said: str, headers: Mapping[str, str]) -> bool:
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0" or bool(LIMITED.search(said))


def delay_of(headers: Mapping[str, str], *, now: float, without: float = WITHOUT_A_TIME_SECONDS) -> float:
    """Read how long a forge wants to be left alone.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api

    Args:
        headers: With names in lower case.
        now: Seconds since 1970.
        without: What is taken if it does not say.

    Returns:
        Seconds, from 1 to an hour.
    """
    found = _number(headers.get("retry-after"))
    if found is None:
        spent = headers.get("x-ratelimit-remaining", headers.get("ratelimit-remaining")) == "0"
        reset = _number(headers.get("x-ratelimit-reset", headers.get("ratelimit-reset"))) if spent else None
        found = without if reset is None else reset - now
    return min(max(found, 1.0), MOST_SECONDS)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\d{1,12}", text.strip()) else None
