"""What every HTTP check can do, whoever makes it: headers, secrets, bodies, and answers that are larger than they look."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from blocks.credential import Credential
from blocks.platform import Endpoints
from tasks.analysis.source_probe import ProbeSource
from tasks.evidence.dependencies import check_dependency
from tasks.rules.plan.credentials import Receiver
from tasks.rules.plan.plan import Dependency, ProbeSli, SmokeTest, Verification
from tasks.verification.health import probe_health
from tasks.verification.http_check import Asker, http_client
from tasks.verification.smoke import run_smoke_test
from tests.tasks.fake_platform import FakePlatform
from tests.tasks.faulty_server import FaultyServer, serving

PACKED = gzip.compress(gzip.compress(b'{"ready": true}' + b" " * 60_000_000))
RECEIVER = Receiver("shop", platform="local/shop")
STABLE = {"successes": 1, "interval_seconds": 0.01, "timeout_seconds": 0.1}


@pytest.fixture
def service() -> Iterator[FaultyServer]:
    """A faulty server of one's own."""
    with serving() as server:
        yield server


async def health(url: str, check: dict[str, Any]) -> str:
    """Make a health check; gives its fault."""
    verification = Verification.model_validate({"health": [check], "stability": STABLE})
    found = await probe_health.fn(url, verification=verification, version="1.1", receiver=RECEIVER)
    return "" if found["outcome"] == "passed" else str(found["reason"])


async def smoke(url: str, check: dict[str, Any]) -> str:
    """Make a smoke test of it."""
    test = SmokeTest.model_validate({"name": "smoke", "steps": [check]})
    found = await run_smoke_test.fn(test, folder="/nowhere", target=url, version="1.1", receiver=RECEIVER)
    return "" if found["outcome"] == "passed" else str(found["reason"])


async def dependency(url: str, check: dict[str, Any]) -> str:
    """Make a dependency of it."""
    rest = {name: value for name, value in check.items() if name != "path"}
    found = await check_dependency.fn(Dependency.model_validate({"name": "other", "url": url + check["path"], **rest}), service="shop")
    return "" if found.outcome == "passed" else found.reason


async def probe(url: str, check: dict[str, Any]) -> str:
    """Make an SLI of it."""

    class Reached(FakePlatform):
        async def endpoints(self) -> Endpoints:
            return Endpoints(public=url, baseline=url, canary=url)

    sli = ProbeSli.model_validate({"name": "probe", "source": "probe", "indicator": "errors", **check})
    async with http_client() as client:
        source = ProbeSource(Asker(client), Reached(), [sli], {"canary": "1.1"})
        await source.read()
    return source.faults["probe", "canary"]


EVERY_CHECK = pytest.mark.parametrize("check", [health, smoke, dependency, probe])


@EVERY_CHECK
async def test_a_service_that_answers_to_its_own_name_alone_can_be_asked(service: FaultyServer, check: Any) -> None:
    """`Host` is a header like any other, in every check."""
    asked = {"path": "/hosted", "headers": {"Host": "shop.example"}}
    assert await check(service.url, asked) == ""
    assert "answered 421, not 200" in await check(service.url, {"path": "/hosted"})


@EVERY_CHECK
@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"json": {"/ready": True, "/errors": None, "/load": 150, "/zones/1": "b"}}, ""),
        ({"json": {"/ready": "true"}}, 'has true at /ready, not "true"'),
        ({"json": {"/load": "1.5e2"}}, 'has 150.0 at /load, not "1.5e2"'),
        ({"json": {"/warnings": "None"}}, "has nothing at /warnings"),
        ({"json": {"/warnings": None}}, "has nothing at /warnings"),
        ({"status": [200, 204], "headers": {"Content-Length": "\\d+"}, "contains": "zones"}, ""),
        ({"contains": "zone c"}, 'does not contain "zone c"'),
    ],
)
async def test_an_answer_is_compared_as_json_by_every_check(service: FaultyServer, check: Any, expect: dict[str, Any], said: str) -> None:
    """One way to compare: what one check calls equal, all do."""
    fault = await check(service.url, {"path": "/state", "expect": expect})
    assert (said in fault, bool(fault)) == (True, bool(said)), fault


@EVERY_CHECK
@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "deflate", "br", "zstd"])
async def test_a_body_that_was_not_asked_for_packed_is_not_unpacked(service: FaultyServer, check: Any, encoding: str) -> None:
    """A few bytes may be gigabytes: the check says so, in a few megabytes of memory, and passes if the body does not matter."""
    service.encoding, service.packed = encoding, PACKED
    tracemalloc.start()
    try:
        fault = await check(service.url, {"path": "/packed", "expect": {"json": {"/ready": True}}})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert f'sent its body encoded as "{encoding}"' in fault
    assert peak < 20_000_000
    assert await check(service.url, {"path": "/packed", "expect": {"headers": {"Content-Encoding": ".*"}}}) == ""


@EVERY_CHECK
async def test_only_a_plain_body_is_asked_for(service: FaultyServer, check: Any) -> None:
    """What a service honours, it need not be refused for."""
    expect = {"json": {"/headers/Accept-Encoding": "identity", "/headers/User-Agent": "shipway", "/body": "{}"}}
    assert await check(service.url, {"path": "/echo", "method": "POST", "body": "{}", "expect": expect}) == ""


async def test_a_secret_is_sent_and_never_said(service: FaultyServer) -> None:
    """Not even where a service echoes it, at the place where the text is cut."""
    sli = ProbeSli.model_validate(
        {
            "name": "probe", "source": "probe", "indicator": "errors", "path": "/echo", "secret_headers": {"X-Key": "credential/key"},
            "headers": {"X-Pad": "x" * 400}, "expect": {"contains": "hush-hush", "json": {"/headers/X-Key": "other"}},
        }
    )  # fmt: skip
    async with http_client() as client:
        found = await Asker(client, {"credential/key": SecretStr("hush-hush")}).check(sli, service.url, version="1.1", timeout_seconds=5)
    assert "has" in found.fault
    assert "hush" not in found.fault


@pytest.mark.server
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("check", [health, dependency])
async def test_a_secret_comes_from_its_block(service: FaultyServer, check: Any) -> None:
    """Health and dependencies can be behind a key, as smoke tests can."""
    block = Credential(value=SecretStr("hush-hush"), services=["shop"], hosts=[service.url], platforms=["local/shop"])
    await block.save(f"key-{check.__name__}", overwrite=True)  # type: ignore[misc]
    asked = {"path": "/echo", "secret_headers": {"X-Key": f"credential/key-{check.__name__}"}}
    assert await check(service.url, {**asked, "expect": {"contains": "hush-hush"}}) == ""
    fault = await check(service.url, {**asked, "expect": {"json": {"/headers": {}}}})
    assert "X-Key" in fault
    assert "hush" not in json.dumps(fault)
