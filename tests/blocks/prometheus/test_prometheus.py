"""The Prometheus block: what a real server is asked and answers, and what happens when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator

import httpx
import pytest
from pydantic import ValidationError

from blocks.errors import BadInput, Refused, ShipwayError, Temporary, Unreachable
from blocks.prometheus.client import PrometheusClient
from blocks.prometheus.prometheus import Prometheus
from tasks.rules.plan.promql import fill
from tests import prometheus_faults
from tests.prometheus_faults import FaultyPrometheus
from tests.prometheus_server import PrometheusServer, prometheus_server

__all__ = ["prometheus_server"]


@pytest.fixture(scope="module")
def faulty() -> Iterator[FaultyPrometheus]:
    """Serve faults."""
    with prometheus_faults.serving() as server:
        yield server


@pytest.mark.slow
async def test_raw_scrapes_come_back_with_their_own_moments(prometheus_server: PrometheusServer) -> None:
    """A range selector gives what was scraped, each series with its labels, and the server's clock beside it."""
    with prometheus_server.exporting(app="raw", version="1.0") as exporter:
        exporter.serve(7, 2)
        prometheus_server.scraped(exporter)
        async with Prometheus(url=prometheus_server.url).client() as client:
            answer = await client.samples('http_requests_total{app="raw"}[30s]')
    found = {labels["status"]: values[-1] for labels, values in answer.series}
    assert {status: value for status, (_, value) in found.items()} == {"200": "7", "500": "2"}
    assert all(abs(answer.now - at) < 30 for at, _ in found.values())


VERSIONS = ['a"} or up{"', "1.0'", "back\\slash", "new\nline", "`raw`", "{role}", "né…", "1.1+build.7", "0\t", ".*", "1.1", "101"]


async def test_no_version_leaves_its_quotes(prometheus_server: PrometheusServer) -> None:
    """Whatever it is called, the real server selects exactly that version, as text and as a regular expression."""
    with contextlib.ExitStack() as stack:
        for number, version in enumerate(VERSIONS, start=1):
            exporter = stack.enter_context(prometheus_server.exporting(app="quotes", version=version))
            exporter.serve(number)
        prometheus_server.scraped(exporter)
        async with Prometheus(url=prometheus_server.url).client() as client:
            for number, version in enumerate(VERSIONS, start=1):
                for matcher in ('version="{version}"', "version=~'{version}'"):
                    query = fill(f'sum(http_requests_total{{app="quotes",{matcher}}})', {"version": version})
                    assert [value for _, _, value in await client.instant(query)] == [str(number)], version


@pytest.mark.slow
async def test_an_expression_is_asked_at_one_moment(prometheus_server: PrometheusServer) -> None:
    """A second one can be asked about the first one's moment, and what is older than the look-back is not there."""
    with prometheus_server.exporting(app="moment", version="1.0") as exporter:
        exporter.serve(5)
        prometheus_server.scraped(exporter)
        async with Prometheus(url=prometheus_server.url, lookback_seconds=2).client() as client:
            query = 'sum(http_requests_total{app="moment"})'
            [(labels, at, value)] = await client.instant(query)
            assert (labels, value) == ({}, "5")
            assert (await client.instant(query, at=at))[0][1] == pytest.approx(at, abs=0.002)
            exporter.silent = True
            await asyncio.sleep(3.5)
            assert await client.instant(f"{query} or vector(0)") == [({}, pytest.approx(at, abs=60), "0")]


@pytest.mark.parametrize(
    ("query", "said"),
    [("sum(up", "1:7: parse error: unclosed left parenthesis"), ("up[5s", "parse error"), ("sum(up)", ""), ("rate(up[5m])", "")],
)
async def test_a_query_is_read_by_the_server(prometheus_server: PrometheusServer, query: str, said: str) -> None:
    """The parser's own message comes back, with its place."""
    async with Prometheus(url=prometheus_server.url).client() as client:
        found = await client.check(query)
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("query", "said"), [("up[5s]", "gives a matrix, not a vector"), ('"a"', "gives a string"), ("sum(", "parse error")]
)
async def test_an_expression_of_another_kind_is_refused(prometheus_server: PrometheusServer, query: str, said: str) -> None:
    """No retry makes it one."""
    async with Prometheus(url=prometheus_server.url).client() as client:
        with pytest.raises(BadInput, match=said):
            await client.instant(query)
        assert [value for _, _, value in await client.instant("7")] == ["7"]


FAULTS = [
    ("busy", Temporary, "answered 503: query timed out in expression evaluation"),
    ("gateway", Temporary, "answered 502"),
    ("html", Temporary, "not its API's JSON"),
    ("strange", Temporary, "not its API's JSON"),
    ("deep", Temporary, "not its API's JSON"),
    ("torn", Temporary, "gave no answer"),
    ("hang", Temporary, "does not answer within 0.5 s"),
    ("drip", Temporary, "does not answer within 0.5 s"),
    ("partial", Temporary, "answered only in part: store-2 is unavailable"),
    ("parser", BadInput, "^query: 1:5: parse error: what?"),
    ("execution", BadInput, "found duplicate series"),
    ("gigabyte", BadInput, "more than 32,000,000 bytes"),
    ("packed", Refused, "sends its answers encoded as gzip, gzip, though plain ones were requested"),
    ("locked", Refused, "answered 401; look at the address and the credentials"),
    ("astray", Temporary, "gave no answer: Invalid URL in location header"),
    ("elsewhere", Refused, r"redirects to http://127.0.0.1:\d+/empty/api/v1/query; name the right address"),
]


@pytest.mark.parametrize(("way", "error", "said"), FAULTS, ids=[way for way, _, _ in FAULTS])
async def test_a_fault_says_whether_another_try_helps(faulty: FaultyPrometheus, way: str, error: type[ShipwayError], said: str) -> None:
    """Each is one of ours, in time and within bounds, and no secret is in its words."""
    seconds = 0.5 if way in {"hang", "drip"} else 10
    block = Prometheus(url=f"{faulty.url}/{way}", bearer_token="s3cret", timeout_seconds=seconds)
    async with block.client() as client:
        with pytest.raises(error, match=said) as caught:
            await client.instant("up")
    assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert faulty.megabytes < 200


async def test_no_one_there_is_temporary() -> None:
    """A server that is down may come back."""
    async with Prometheus(url="http://127.0.0.1:9").client() as client:
        with pytest.raises(Temporary, match="gave no answer"):
            await client.samples("up[5s]")


@pytest.mark.usefixtures("without_certificates")
async def test_a_bundle_of_certificates_that_is_being_replaced_is_unreachable() -> None:
    """So the watch that opens the client is tried again."""
    with pytest.raises(Unreachable, match="cannot be read: FileNotFoundError"):
        async with Prometheus(url="https://127.0.0.1:9").client():
            pass


async def test_a_remark_on_the_expression_takes_nothing_away(faulty: FaultyPrometheus) -> None:
    """Only a warning that data are missing makes an answer partial."""
    async with Prometheus(url=f"{faulty.url}/remark").client() as client:
        assert await client.instant("up") == []


async def test_credentials_go_to_their_server_alone(faulty: FaultyPrometheus) -> None:
    """A redirect is not followed, so whoever it points to hears nothing."""
    with prometheus_faults.serving() as other:
        faulty.other_port = other.server_port
        async with Prometheus(url=f"{faulty.url}/elsewhere", username="ada", password="s3cret").client() as client:
            with pytest.raises(Refused):
                await client.instant("up")
        assert other.asked == []
    assert faulty.asked[-1][1] == "Basic YWRhOnMzY3JldA=="


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bearer_token": "s3cret", "username": "ada", "password": "s3cret"}, "both a bearer token and a user"),
        ({"username": "ada"}, "belong together"),
        ({"password": "s3cret"}, "belong together"),
    ],
)
async def test_half_a_credential_is_refused(fields: dict[str, str], said: str) -> None:
    """It is named, without the secret."""
    with pytest.raises(BadInput, match=said) as caught:
        async with Prometheus(**fields).client():
            pass
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"bearer_token": "s3cret\nmore"}, "bearer_token"),
        ({"bearer_token": "s3cret\u2026"}, "bearer_token"),
        ({"bearer_token": "Bearer s3cret"}, "bearer_token"),
        ({"bearer_token": "\n"}, "bearer_token"),
        ({"username": "ada", "password": "s3cret\x00"}, "password"),
        ({"username": "ada\nb", "password": "s3cret"}, "username"),
        ({"username": "ada:b", "password": "s3cret"}, "username"),
    ],
)
async def test_a_credential_that_cannot_be_sent_is_refused(fields: dict[str, str], field: str) -> None:
    """Its field is named, and nothing of it is said."""
    with pytest.raises(BadInput, match=f"^{field}: ") as caught:
        async with Prometheus(**fields).client():
            pass
    assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"bearer_token": " s3cret\n"}, "Bearer s3cret"),
        ({"username": "ada\n", "password": "s3cret\r\n"}, "Basic YWRhOnMzY3JldA=="),
    ],
)
async def test_the_line_break_of_a_file_is_not_part_of_a_credential(faulty: FaultyPrometheus, fields: dict[str, str], sent: str) -> None:
    """It would otherwise be refused far from where it was stored."""
    async with Prometheus(url=f"{faulty.url}/remark", **fields).client() as client:
        await client.instant("up")
    assert faulty.asked[-1][1] == sent


async def test_a_request_that_cannot_be_sent_shows_nothing_of_itself() -> None:
    """The library's own words hold the header; no retry makes it another one."""
    with prometheus_faults.serving() as server:
        async with httpx.AsyncClient(headers={"Authorization": "Bearer s3cret\n"}, trust_env=False) as http:
            client = PrometheusClient(http, f"{server.url}/remark", timeout_seconds=5, lookback_seconds=60)
            with pytest.raises(Refused, match="was not queried") as caught:
                await client.instant("up")
    assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize("url", ["http://u:secret@h", "ftp://h", "http://h/?x", "h:9090"])
def test_an_address_is_an_address(url: str) -> None:
    """Without a user in it, since an address is shown."""
    with pytest.raises(ValidationError):
        Prometheus(url=url)


def test_a_block_shows_no_secret() -> None:
    """Neither its text nor its JSON."""
    block = Prometheus(bearer_token="s3cret", password="s3cret", username="ada")
    assert "s3cret" not in f"{block!r} {json.dumps(block.model_dump(mode='json'))}"
