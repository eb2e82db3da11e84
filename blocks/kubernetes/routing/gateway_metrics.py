"""Request counts of Kubernetes Services, from the metrics page of the gateway that splits the traffic: Traefik 3.2 or newer.

Traefik counts what reaches a Service of an HTTPRoute under the name `NAMESPACE-SERVICE-http-PORT@kubernetesgateway`
(https://doc.traefik.io/traefik/observability/metrics/overview/), once its response is complete. A Service without requests
has no series. One histogram has all that is needed, so the values of one moment are consistent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, InvalidURL

from blocks.bounded import is_plain, read_chunks
from blocks.errors import BadInput, Temporary
from blocks.platform import Counts

HISTOGRAM = "traefik_service_request_duration_seconds_bucket"
ANY_HISTOGRAM = re.compile(r"^traefik_\w+_request_duration_seconds_bucket\{", re.MULTILINE)
START = re.compile(r"^process_start_time_seconds (\S+)", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
LINE = re.compile(rf"{HISTOGRAM}\{{([^{{}}]*)\}} +(\S+)(?: +-?[0-9]+)?")  # the last is a timestamp, which the format allows
CODE = re.compile("[0-9]{1,3}")
MOST_REQUESTS = 2**53
MOST_SHOWN = 200
NO_LETTER = re.compile(r"[\W_]+")
DEFAULT_BOUNDS = ("0.1", "0.3", "1.2", "5", "+Inf")
ALL = "+Inf"
OK = 200
BAD_STATUS = "5.."
TIMEOUT_SECONDS = 2.0
MOST_BYTES = 32_000_000
# Only a plain page is read: a few compressed bytes could become gigabytes.
PLAIN = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}


class Backend(NamedTuple):
    """A Service as an HTTPRoute names it: with the port of the Service, not that of its pods."""

    service: str
    namespace: str
    port: int

    @property
    def label(self) -> str:
        """The gateway's label of the Service."""
        return NO_LETTER.sub("-", f"{self.namespace}-{self.service}-http-{self.port}") + "@kubernetesgateway"


class _Bucket(NamedTuple):
    service: str
    code: int
    bound: str
    requests: int


async def read_counts(url: str, backends: Mapping[str, Backend], *, bad_status: str = BAD_STATUS) -> dict[str, Counts]:
    """Read the counts of several Services at one moment, with one request.

    Args:
        url: The gateway's metrics page; without a path, `/metrics`.
        backends: Services by the names under which to give their counts.
        bad_status: A regular expression; an answer whose whole status matches is an error.

    Raises:
        Temporary: The page does not answer.
        BadInput: It is not a metrics page of Traefik.
    """
    address = url if urlsplit(url).path not in {"", "/"} else f"{url.rstrip('/')}/metrics"
    return counts_of(await _page(address), backends, where=address, bad_status=bad_status)


def counts_of(page: str, backends: Mapping[str, Backend], *, where: str, bad_status: str = BAD_STATUS) -> dict[str, Counts]:
    """Parse the counts of Services from a metrics page; a Service without a series has zero.

    Only plain HTTP is counted: a WebSocket or an event stream lasts as long as its client listens, which is not a latency.

    Args:
        page: Prometheus text.
        backends: Services by the names under which to give their counts.
        where: The page's address, for messages.
        bad_status: A regular expression; an answer whose whole status matches is an error.

    Raises:
        BadInput: It is not a metrics page of Traefik, or `bad_status` is not a regular expression.
        Temporary: A line of ours is not a count of requests.
    """
    found = START.search(page)
    if found is None or "\ntraefik_" not in page:
        fix = "Name the metrics page of a Traefik gateway, for example http://127.0.0.1:8001/metrics"
        raise BadInput(f"{where} is not a metrics page of Traefik", field="gateway_metrics", fix=fix)
    buckets = list(_buckets(page, {backend.label for backend in backends.values()}))
    bounds = _bounds(page)
    try:
        bad = re.compile(bad_status)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadInput(f"it is not a regular expression: {error}", field="bad_status", fix="Write one, for example 5..") from None
    ours = {name: [one for one in buckets if one.service == backend.label] for name, backend in backends.items()}
    return {name: _sum(found[1], bounds, some, bad) for name, some in ours.items()}


def _sum(started: str, bounds: tuple[str, ...], buckets: list[_Bucket], bad: re.Pattern[str]) -> Counts:
    within = dict.fromkeys(bounds, 0)
    for one in buckets:
        within[one.bound] = within.get(one.bound, 0) + one.requests
    errors = sum(one.requests for one in buckets if one.bound == ALL and bad.fullmatch(str(one.code)))
    return Counts(started=f"gateway {started}", requests=within[ALL], errors=errors, buckets=within)


def _buckets(page: str, services: set[str]) -> Iterator[_Bucket]:
    """Read the lines of the histogram, which stand together; a page has thousands of others."""
    begin, end = page.find(f"\n{HISTOGRAM}{{"), page.rfind(f"\n{HISTOGRAM}{{")
    if begin < 0:
        return
    end = page.find("\n", end + 1)
    wanted = tuple(f'service="{service}"' for service in services)
    seen = set[str]()
    for line in page[begin + 1 : end if end > 0 else None].split("\n"):
        if any(one in line for one in wanted) and 'protocol="http"' in line and line.startswith(HISTOGRAM):
            series, bucket = _bucket(line)
            if series in seen:
                raise Temporary(f"the gateway's metrics have a series twice: {line[:MOST_SHOWN]}")
            seen.add(series)
            yield bucket


def _bucket(line: str) -> tuple[str, _Bucket]:
    """Read one line; gives its series, too.

    Raises:
        Temporary: It is not a count of requests: no data rather than wrong ones.
    """
    found = LINE.fullmatch(line)
    labels = dict(LABEL.findall(found[1])) if found else {}
    if found is None or not {"service", "le"} <= labels.keys() or not CODE.fullmatch(labels.get("code", "")):
        raise Temporary(f"the gateway's metrics have a line that is not a count of requests: {line[:MOST_SHOWN]}")
    try:
        value = float(found[2])
    except ValueError:
        value = -1
    if not (0 <= value <= MOST_REQUESTS and value.is_integer()):
        raise Temporary(f"the gateway's metrics have a count that is not a whole number from 0 on: {line[:MOST_SHOWN]}")
    return found[1], _Bucket(labels["service"], int(labels["code"]), labels["le"], int(value))


def _bounds(page: str) -> tuple[str, ...]:
    """Read the bounds that the gateway uses, from its first histogram, also for Services without requests."""
    found = ANY_HISTOGRAM.search(page)
    if found is None:
        return DEFAULT_BOUNDS
    bounds: list[str] = []
    for line in page[found.start() : found.start() + 20_000].split("\n"):
        bound = dict(LABEL.findall(line)).get("le")
        if bound is None:
            break
        bounds.append(bound)
        if bound == ALL:
            return tuple(bounds)
    return DEFAULT_BOUNDS


async def _page(url: str) -> str:
    timeout = ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with (
            ClientSession(timeout=timeout, cookie_jar=DummyCookieJar(), trust_env=False, auto_decompress=False) as session,
            session.get(url, allow_redirects=False, headers=PLAIN) as response,
        ):
            if response.status != OK:
                raise Temporary(f"the gateway's metrics at {url} answered {response.status}")
            if not is_plain(response.headers):
                wrong = f"the metrics at {url} are compressed, though plain ones were requested"
                raise BadInput(wrong, field="gateway_metrics", fix="Name the gateway itself, without a proxy that compresses")
            body, cut = await read_chunks(response.content.iter_any(), most_bytes=MOST_BYTES)
            if cut:
                fix = "Use a gateway with fewer services, or the source `prometheus`"
                raise BadInput(f"the metrics at {url} are longer than {MOST_BYTES:,} bytes", field="gateway_metrics", fix=fix)
    except InvalidURL:
        raise BadInput(f"{url} is not an address", field="gateway_metrics", fix="Write one like http://127.0.0.1:8001/metrics") from None
    except (ClientError, OSError) as error:
        raise Temporary(f"the gateway's metrics at {url} do not answer: {type(error).__name__}") from None
    return body.decode("utf-8", "replace")
