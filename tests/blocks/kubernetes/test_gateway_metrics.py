"""What a gateway's metrics page says about the revisions behind it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from blocks.errors import BadInput, Temporary
from blocks.kubernetes.routing.gateway_metrics import Backend, counts_of, read_counts

STABLE, CANARY = Backend("shop", "web", 80), Backend("shop-canary", "web", 80)
BOUNDS = ("0.1", "0.3", "1.2", "5", "+Inf")


def series(backend: Backend, code: int, counts: tuple[int, ...], *, method: str = "GET", protocol: str = "http") -> str:
    """Write the histogram of one status code as Traefik does."""
    labels = f'code="{code}",method="{method}",protocol="{protocol}",service="{backend.label}"'
    lines = [
        f'traefik_service_request_duration_seconds_bucket{{{labels},le="{bound}"}} {count}'
        for bound, count in zip(BOUNDS, counts, strict=True)
    ]
    return "\n".join([*lines, f"traefik_service_request_duration_seconds_sum{{{labels}}} 1.5", ""])


def page(*some: str, started: str = "1.7e+09") -> str:
    """Write a metrics page around some series."""
    before = f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {started}\ntraefik_config_reloads_total 3\n"
    return before + "".join(some) + "traefik_service_requests_total 5\n"


def test_methods_and_codes_of_a_service_are_added_up() -> None:
    """Requests are all answers, errors those with 500 and above, and the histogram is theirs together."""
    text = page(
        series(STABLE, 200, (7, 8, 9, 9, 10)), series(STABLE, 404, (1, 1, 1, 1, 1)), series(STABLE, 502, (2, 2, 2, 2, 2), method="POST")
    )
    counts = counts_of(text, {"1.0": STABLE}, where="here")["1.0"]
    assert (counts["requests"], counts["errors"]) == (13, 2)
    assert counts["buckets"] == {"0.1": 10, "0.3": 11, "1.2": 12, "5": 12, "+Inf": 13}


def test_a_revision_without_requests_has_zero_counts_with_the_same_bounds() -> None:
    """A latency can be judged from the first request on, because the bounds are known before it."""
    found = counts_of(page(series(STABLE, 200, (1, 1, 1, 1, 1))), {"1.0": STABLE, "1.1": CANARY}, where="here")
    assert found["1.1"] == {"started": found["1.0"]["started"], "requests": 0, "errors": 0, "buckets": dict.fromkeys(BOUNDS, 0)}
    assert counts_of(page(), {"1.1": CANARY}, where="here")["1.1"]["buckets"] == dict.fromkeys(BOUNDS, 0)


def test_one_service_is_not_taken_for_another_whose_name_it_begins() -> None:
    """`shop` and `shop-canary`, and the same name in another namespace, are kept apart."""
    elsewhere = Backend("shop", "other", 80)
    text = page(series(CANARY, 500, (5, 5, 5, 5, 5)), series(elsewhere, 200, (6, 6, 6, 6, 6)), series(STABLE, 200, (1, 1, 1, 1, 1)))
    found = counts_of(text, {"a": STABLE, "b": CANARY}, where="here")
    assert [found[name]["requests"] for name in "ab"] == [1, 5]


def test_open_connections_of_other_protocols_are_no_requests() -> None:
    """A WebSocket that was open for an hour is neither a slow request nor a request."""
    text = page(series(STABLE, 200, (1, 1, 1, 1, 1)), series(STABLE, 101, (0, 0, 0, 0, 4), protocol="websocket"))
    assert counts_of(text, {"1.0": STABLE}, where="here")["1.0"]["requests"] == 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("} 7\n", "} NaN\n", "not a whole number"),
        ("} 7\n", "} +Inf\n", "not a whole number"),
        ("} 7\n", "} 1e309\n", "not a whole number"),
        ("} 7\n", "} 1e308\n", "not a whole number"),
        ("} 7\n", "} -7\n", "not a whole number"),
        ("} 7\n", "} 7.5\n", "not a whole number"),
        ("} 7\n", "} abc\n", "not a whole number"),
        ("} 7\n", "}\n", "not a count of requests"),
        ("} 7\n", "} 7 later\n", "not a count of requests"),
        ('code="200"', 'code="٢٠٠"', "not a count of requests"),
        ('code="200"', 'code="many"', "not a count of requests"),
        ('code="200",', "", "not a count of requests"),
        (',le="0.1"', "", "not a count of requests"),
        ('le="0.3"', 'le="0.1"', "have a series twice"),
    ],
)
def test_a_line_that_is_not_a_count_is_no_data(old: str, new: str, says: str) -> None:
    """A release is never judged by numbers that a gateway cannot mean."""
    text = page(series(STABLE, 200, (7, 8, 9, 9, 10)))
    assert old in text
    with pytest.raises(Temporary, match=says):
        counts_of(text.replace(old, new), {"1.0": STABLE}, where="here")


def test_a_timestamp_behind_a_count_is_not_a_count() -> None:
    """The format allows one."""
    text = page(series(STABLE, 200, (7, 8, 9, 9, 10))).replace("} 10\n", "} 1e+01 1700000000000\n")
    assert counts_of(text, {"1.0": STABLE}, where="here")["1.0"]["requests"] == 10


def test_dots_in_names_are_written_as_the_gateway_writes_them() -> None:
    """Traefik puts a dash for everything that is neither a letter nor a digit."""
    assert Backend("shop.v2", "web", 8080).label == "web-shop-v2-http-8080@kubernetesgateway"


def test_a_restarted_gateway_begins_another_life() -> None:
    """The counts before and after a restart have different starts, so no one subtracts one from the other."""
    lives = {counts_of(page(started=moment), {"1.0": STABLE}, where="here")["1.0"]["started"] for moment in ("1.7e+09", "1.8e+09")}
    assert len(lives) == 2


def test_a_page_of_many_services_is_read_in_milliseconds() -> None:
    """A thousand Services beside ours cost milliseconds, and less than a third of a second on a busy machine."""
    others = [series(Backend(f"other-{number}", "web", 80), code, (1, 2, 3, 4, 5)) for number in range(1000) for code in (200, 404)]
    text = page(*others, series(STABLE, 200, (1, 1, 1, 1, 1)))
    began = time.perf_counter()
    assert counts_of(text, {"1.0": STABLE}, where="here")["1.0"]["requests"] == 1
    assert time.perf_counter() - began < 0.3


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[int, str], object]]:
    """Serve pages at a path of this machine."""
    servers: list[TestServer] = []

    async def start(status: int, text: str, **headers: str) -> str:
        async def answer(request: web.Request) -> web.Response:
            assert request.headers["Accept-Encoding"] == "identity"
            return web.Response(status=status, body=text.encode(), headers=headers)

        application = web.Application()
        application.router.add_get("/metrics", answer)
        servers.append(TestServer(application, host="127.0.0.1"))
        await servers[-1].start_server()
        return str(servers[-1].make_url("/")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


async def test_the_page_is_found_with_and_without_its_path(serve: Callable[[int, str], object]) -> None:
    """The gateway's address alone means its `/metrics`."""
    url = await serve(200, page(series(STABLE, 200, (3, 3, 3, 3, 3))))  # type: ignore[misc]
    for address in (url, f"{url}/", f"{url}/metrics"):
        assert (await read_counts(address, {"1.0": STABLE}))["1.0"]["requests"] == 3


async def test_a_gateway_that_does_not_answer_is_asked_again(serve: Callable[[int, str], object]) -> None:
    """Neither a refusal nor an error says that there were no requests."""
    url = await serve(503, "not now")  # type: ignore[misc]
    with pytest.raises(Temporary, match="503"):
        await read_counts(url, {"1.0": STABLE})
    with pytest.raises(Temporary, match="do not answer"):
        await read_counts("http://127.0.0.1:9", {"1.0": STABLE})


@pytest.mark.parametrize("text", ["", "<html>Dashboard</html>", "process_start_time_seconds 1.7e+09\nenvoy_requests_total 5\n"])
async def test_another_page_is_not_a_page_without_requests(serve: Callable[[int, str], object], text: str) -> None:
    """What is not a metrics page of Traefik is a fault of the block, and named so."""
    url = await serve(200, text)  # type: ignore[misc]
    with pytest.raises(BadInput, match="gateway_metrics"):
        await read_counts(url, {"1.0": STABLE})


async def test_a_packed_page_is_not_unpacked(serve: Callable[..., Any]) -> None:
    """A few bytes could become gigabytes."""
    packed = {"Content-Encoding": "gzip, gzip"}
    url = await serve(200, page(series(STABLE, 200, (3, 3, 3, 3, 3))), **packed)
    with pytest.raises(BadInput, match="are compressed, though plain ones were requested"):
        await read_counts(url, {"1.0": STABLE})
