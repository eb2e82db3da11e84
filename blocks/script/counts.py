"""Request counts by version from the OpenMetrics text that a script prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from blocks.errors import BadInput, Temporary
from blocks.outside_text import said
from blocks.platform import Counts
from blocks.script.words import VERSION

REQUESTS, ERRORS, CREATED = "shipway_requests_total", "shipway_request_errors_total", "shipway_requests_created"
BUCKET = "shipway_request_duration_seconds_bucket"
LINE = re.compile(rf"({REQUESTS}|{ERRORS}|{CREATED}|{BUCKET})\{{([^{{}}]*)\}}\s+(\S+)(?:\s+\S+)?")
LABEL = re.compile(r'(\w+)="([^"]*)"')
ALL = "+Inf"
MOST_REQUESTS, MOST_VERSIONS, SHOWN = 2**53, 100, 200


class _Sample(NamedTuple):
    name: str
    version: str
    bound: str
    value: str


def read_counts(page: str) -> dict[str, Counts]:
    """Read the counts of each version.

    Args:
        page: OpenMetrics text with `shipway_requests_total{version="…"}` and `shipway_request_errors_total`; of latency
            `shipway_request_duration_seconds_bucket`, and of the counters' life `shipway_requests_created`, if they are there.

    Returns:
        The counts by version; empty if there are none.

    Raises:
        Temporary: A line of ours is not a count: no data rather than wrong ones.
        BadInput: A version has requests, but not how many of them failed.
    """
    samples = list(_samples(page))
    versions = list(dict.fromkeys(one.version for one in samples if one.name == REQUESTS))[:MOST_VERSIONS]
    return {version: _counts([one for one in samples if one.version == version], version) for version in versions}


def _counts(samples: list[_Sample], version: str) -> Counts:
    found = {one.name: one for one in samples if one.name != BUCKET}
    if ERRORS not in found:
        raise BadInput(f"{REQUESTS} of {version} stands without {ERRORS}", field="counts", fix=f"Print {ERRORS}, too, also if it is 0")
    requests = int(float(found[REQUESTS].value))
    buckets = {one.bound: int(float(one.value)) for one in sorted(samples, key=lambda one: float(one.bound or 0)) if one.name == BUCKET}
    created = found[CREATED].value if CREATED in found else "0"
    return Counts(
        started=f"script {created}", requests=requests, errors=int(float(found[ERRORS].value)), buckets={**buckets, ALL: requests}
    )


def _samples(page: str) -> Iterator[_Sample]:
    seen = set[tuple[str, str, str]]()
    for line in page.splitlines():
        if not line.startswith("shipway_request"):
            continue
        if (found := LINE.fullmatch(line.strip())) is None:
            if line.startswith((REQUESTS, ERRORS, BUCKET)):
                raise Temporary(f"`counts` printed a line that cannot be read: {said(line, limit=SHOWN)}")
            continue
        labels = dict(LABEL.findall(found[2]))
        bound = labels.get("le", "")
        if not VERSION.fullmatch(labels.get("version", "")) or (found[1] == BUCKET and not _is_bound(bound)):
            raise Temporary(f"`counts` printed a sample without a version or a bound: {said(line, limit=SHOWN)}")
        if found[1] != CREATED:
            _expect_count(line, found[3])
        sample = _Sample(found[1], labels["version"], bound, found[3])
        if sample[:3] in seen:
            raise Temporary(f"`counts` printed {sample.name} of {sample.version} twice")
        seen.add(sample[:3])
        yield sample


def _expect_count(line: str, text: str) -> None:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not (0 <= value <= MOST_REQUESTS and value.is_integer()):
        raise Temporary(f"`counts` printed a sample that is not a whole number from 0 on: {said(line, limit=SHOWN)}")


def _is_bound(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False
