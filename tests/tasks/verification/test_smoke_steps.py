"""Smoke tests of HTTP steps, against a real server that is wrong in many ways."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from blocks.credential import Credential
from blocks.errors import BadInput
from blocks.secret_text import MASK
from tasks.rules.plan.credentials import Receiver
from tasks.rules.plan.plan import SmokeTest
from tasks.rules.verification.performance import Baseline
from tasks.verification.smoke import run_smoke_test
from tasks.verification.smoke_requests import Visit, Walked, walk
from tests.tasks.faulty_server import FaultyServer, serving

SECRET = "Bearer hush/\"'<&>{} hush/2"


@pytest.fixture
def service() -> Iterator[FaultyServer]:
    """A faulty server of one's own."""
    with serving() as server:
        yield server


@pytest.fixture
def older() -> Iterator[FaultyServer]:
    """The version that serves beside it."""
    with serving() as server:
        yield server


async def run(target: str, *steps: dict[str, Any], baseline: str = "", **more: Any) -> dict[str, Any]:
    """Run one smoke test against 1.1, beside 1.0 where that has an address."""
    test = SmokeTest.model_validate({"name": "steps", "steps": steps, "timeout_seconds": 10, **more})
    beside = Baseline("1.0", baseline) if baseline else None
    receiver = Receiver("shop", platform="local/shop")
    return await run_smoke_test.fn(test, folder="/nowhere", target=target, version="1.1", baseline=beside, receiver=receiver)


def credential(value: str) -> Any:
    """Give a credential for versions of shop."""
    return Credential(value=SecretStr(value), services=["shop"], platforms=["local/shop"])


async def measured(target: str, path: str, *, within: float = 5, baseline: str = "", **rules: Any) -> dict[str, Any]:
    """Run one performance test with few repeats."""
    step = {"path": path, "expect": {"within_seconds": within}}
    performance = {"quantile": 0.5, "repeats": 5, **rules}
    return await run(target, step, baseline=baseline, kind="performance", performance=performance)


async def walked(url: str, *steps: dict[str, Any], secret: str = SECRET) -> Walked:
    """Walk once with a secret at hand."""
    parsed = SmokeTest.model_validate({"name": "steps", "steps": steps}).steps
    assert parsed
    visit = Visit(parsed, url, "1.1", {"credential/token": SecretStr(secret)}, httpx.create_ssl_context(), time.monotonic() + 10)
    return await walk(visit)


async def test_steps_run_in_order_and_share_cookies_alone(service: FaultyServer) -> None:
    """Who logged in is known to the next step of the same test, and to no other test."""
    login, session = {"path": "/login", "expect": {"status": 303}}, {"path": "/session", "expect": {"json": {"/user/name": "ada"}}}
    found = await run(service.url, login, session)
    assert (found["outcome"], found["reason"]) == ("passed", "2 steps were answered as expected")
    assert service.asked == ["/login", "/session"]
    assert "step 2: GET /session 200 after" in found["output"]
    assert (await run(service.url, session))["outcome"] == "failed"


@pytest.mark.parametrize(
    ("sent", "body", "kind"),
    [
        ({"json": {"name": "ada"}}, '{"name":"ada"}', "application/json"),
        ({"form": {"name": "ada & co"}}, "name=ada+%26+co", "application/x-www-form-urlencoded"),
        ({"body": "ada", "headers": {"Content-Type": "text/plain"}}, "ada", "text/plain"),
    ],
)
async def test_a_body_is_sent_as_json_as_a_form_or_as_it_is(service: FaultyServer, sent: dict[str, Any], body: str, kind: str) -> None:
    """Each with its kind."""
    found = await run(service.url, {"method": "POST", "path": "/echo", "expect": {"json": {"/headers/Content-Type": kind}}, **sent})
    assert found["outcome"] == "passed", found["output"]
    assert [one.decode() for one in service.bodies] == [body]


async def test_the_first_failure_ends_the_test_and_tells_all_about_it(service: FaultyServer) -> None:
    """What was sent, what came back, what was expected; nothing is asked after it."""
    wrong = {"name": "the version", "path": "/fine", "headers": {"X-Why": "test"}, "expect": {"json": {"/version": "{version}.9"}}}
    found = await run(service.url, {"path": "/fine"}, wrong, {"path": "/down"})
    assert found["outcome"] == "failed"
    assert found["reason"] == 'step 2 (the version): GET /fine has "1.1" at /version, not "1.1.9"'
    assert service.asked == ["/fine", "/fine"]
    for said in (
        "step 1: GET /fine 200",
        "sent: GET /fine",
        "X-Why: test",
        'expected: status 200, /version is "1.1.9"',
        "received: 200, {",
    ):
        assert said in found["output"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/down", "answered 503, not 200"),
        ("/redirect", "answered 302, not 200"),
        ("/hang", "gave no whole answer before the test timed out"),
        ("/drip", "gave no whole answer before the test timed out"),
        ("/heads", "gave no answer: RemoteProtocolError"),
        ("/gigabyte", "sent more than 1,000,000 bytes"),
        ("/torn", "gave no answer: RemoteProtocolError"),
        ("/garbage", "gave no answer: RemoteProtocolError"),
    ],
)
async def test_a_faulty_answer_fails_in_time_and_in_bounds(service: FaultyServer, path: str, said: str) -> None:
    """Hanging, dripping, endless headers, 1 GB, no HTTP: each ends, is read in bounds, and is not a pass."""
    began = time.monotonic()
    found = await run(service.url, {"path": path}, timeout_seconds=1 if path in {"/hang", "/drip"} else 10)
    assert (found["outcome"], said in found["reason"]) == ("failed", True), found["reason"]
    assert len(json.dumps(found)) < 5_000
    assert time.monotonic() - began < 10
    assert service.megabytes < 50
    assert service.headers < 20_000


async def test_a_step_has_its_own_time(service: FaultyServer) -> None:
    """The rest of the test's time is not waited for."""
    began = time.monotonic()
    found = await run(service.url, {"path": "/hang", "expect": {"within_seconds": 0.2}})
    assert found["reason"] == "step 1: GET /hang gave no whole answer within 0.2 s"
    assert time.monotonic() - began < 8


async def test_a_redirect_is_an_answer_and_leads_nowhere(service: FaultyServer, older: FaultyServer) -> None:
    """It can be expected with its Location; whoever it points to is not asked."""
    service.elsewhere = f"{older.url}/fine"
    found = await run(service.url, {"path": "/away", "expect": {"status": 302, "headers": {"Location": "http://.*/fine"}}})
    assert found["outcome"] == "passed", found["reason"]
    assert older.asked == []


async def test_no_one_there_is_a_failure() -> None:
    """A refused connection is said, not raised."""
    found = await run("http://127.0.0.1:1", {"path": "/"})
    assert (found["outcome"], "ConnectError" in found["reason"]) == ("failed", True)


@pytest.mark.parametrize(
    "secret",
    [SECRET, "Basic YWRhOmh1c2gvMg==", "hush/2", "hush/2 " * 60 + "hush/2"],
    ids=["a token", "a password", "a bare key", "longer than what is shown"],
)
@pytest.mark.parametrize(
    "expect", [{"json": {"/headers/Authorization": "x"}}, {"headers": {"Told": "x"}}, {"contains": "nothing like it"}, {"status": 500}, {}]
)
async def test_a_secret_arrives_and_is_told_to_no_one(service: FaultyServer, expect: dict[str, Any], secret: str) -> None:
    """Also where the service echoes it in header and body, in the ways JSON writes it, and where the text is cut in its middle."""
    step = {"path": "/echo", "secret_headers": {"Authorization": "credential/token"}, "headers": {"X-Pad": "x" * 450}, "expect": expect}
    found = await walked(service.url, step, secret=secret)
    assert bool(found.fault) == bool(expect)
    assert "hush" not in json.dumps([found.fault, found.lines])
    assert "YWRh" not in json.dumps([found.fault, found.lines])
    if expect:
        assert MASK in json.dumps(found.lines)


async def test_a_header_that_cannot_be_sent_is_told_to_no_one(service: FaultyServer) -> None:
    """The library's own words would hold it, in a spelling of Python's."""
    found = await walked(service.url, {"path": "/echo", "secret_headers": {"Authorization": "credential/token"}}, secret="hush\n2")
    assert "was not sent" in found.fault
    assert "hush" not in json.dumps([found.fault, found.lines])


@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_a_secret_comes_from_its_block_and_reaches_no_result(service: FaultyServer, capfd: pytest.CaptureFixture[str]) -> None:
    """The block's value is sent; neither the result nor an output has it."""
    name = f"smoke-{uuid4().hex[:8]}"
    await credential("Bearer hush-hush").save(name)
    step = {"path": "/echo", "secret_headers": {"Authorization": f"credential/{name}"}, "expect": {"contains": "Bearer hush-hush"}}
    found = await run(service.url, step, {**step, "expect": {"status": 500}})
    assert found["reason"] == "step 2: GET /echo answered 200, not 500"
    assert "hush" not in json.dumps(found)
    shown = capfd.readouterr()
    assert "hush" not in shown.out + shown.err


@pytest.mark.server
@pytest.mark.parametrize("value", [None, "hush\r\nX-Evil: 1", ""], ids=["absent", "two lines", "empty"])
@pytest.mark.usefixtures("server")
async def test_a_secret_that_cannot_be_a_header_is_refused_unsaid(service: FaultyServer, value: Any) -> None:
    """The error names the block and the field, and nothing is sent."""
    name = f"smoke-{uuid4().hex[:8]}"
    if value is not None:
        await credential(value).save(name)
    with pytest.raises(BadInput, match=name) as refused:
        await run(service.url, {"path": "/fine", "secret_headers": {"Authorization": f"credential/{name}"}})
    assert refused.value.__cause__ is None or value is None
    assert "hush" not in str(refused.value)
    assert service.asked == []


async def test_a_version_as_fast_as_the_other_passes(service: FaultyServer, older: FaultyServer) -> None:
    """Both are asked by turns, and as often; the reason has the numbers, the evidence the times."""
    found = await measured(service.url, "/fine", baseline=older.url, slack_seconds=5)
    assert found["outcome"] == "passed", found["reason"]
    assert "p50 of 5:" in found["reason"]
    assert "of 1.0; at most" in found["reason"]
    assert [len(found["times"][side]) for side in ("version", "baseline")] == [5, 5]
    assert len(service.asked) == len(older.asked) == 8


async def test_a_slower_version_fails_by_the_other_ones_times(service: FaultyServer, older: FaultyServer) -> None:
    """Its own limit would let it pass."""
    older.faster = True
    found = await measured(service.url, "/slowly", baseline=older.url, max_ratio=1, slack_seconds=0.02)
    assert found["outcome"] == "failed"
    assert "against" in found["reason"]


async def test_without_another_version_only_the_limit_speaks(service: FaultyServer) -> None:
    """The reason says so, and the limit counts at the quantile."""
    found = await measured(service.url, "/fine")
    assert found["outcome"] == "passed"
    assert "p50 of 5 of step 1:" in found["reason"]
    assert found["reason"].endswith("there is no baseline to compare with")
    slow = await measured(service.url, "/slowly", within=0.05)
    assert (slow["outcome"], slow["times"]["baseline"]) == ("failed", [])


async def test_what_the_other_version_cannot_do_is_not_compared(service: FaultyServer, older: FaultyServer) -> None:
    """A new page is measured by its limit, and the reason names what the other answered."""
    older.down = True
    found = await measured(service.url, "/fine", baseline=older.url)
    assert found["outcome"] == "passed"
    assert "not compared with 1.0: step 1: GET /fine answered 503, not 200" in found["reason"]


async def test_an_answer_that_is_wrong_once_fails_the_measurement(service: FaultyServer, older: FaultyServer) -> None:
    """Fast and wrong is not a pass; it ends at once."""
    found = await measured(service.url, "/once", baseline=older.url)
    assert found["outcome"] == "failed"
    assert "answered 503, not 200" in found["reason"]


@pytest.mark.slow
async def test_a_version_that_hangs_or_another_that_does_ends_in_time(service: FaultyServer, older: FaultyServer) -> None:
    """The version's time-out is a failure; the other one's hanging leaves enough time for the version."""
    began = time.monotonic()
    hanging = await run(
        service.url, {"path": "/hang", "expect": {"within_seconds": 0.1}}, kind="performance", timeout_seconds=1, baseline=older.url
    )
    assert (hanging["outcome"], "timed out" in hanging["reason"]) == ("failed", True)
    older.hangs = True
    found = await run(
        service.url, {"path": "/fine", "expect": {"within_seconds": 5}}, kind="performance", timeout_seconds=10, baseline=older.url
    )
    assert found["outcome"] == "passed", found["reason"]
    assert "not compared with 1.0" in found["reason"]
    assert time.monotonic() - began < 15


async def test_another_version_that_begins_to_hang_is_given_up(service: FaultyServer, older: FaultyServer) -> None:
    """It may not use up the time of the version that fixes it, run by run; the reason says what happened."""
    older.hangs_after = 4
    found = await measured(service.url, "/fine", baseline=older.url)
    assert found["outcome"] == "passed", found["reason"]
    assert "no longer compared with 1.0, which failed 2 times: step 1: GET /fine gave no" in found["reason"]


async def test_runs_at_the_same_time_keep_their_cookies_apart(service: FaultyServer) -> None:
    """Each walk is a visitor of its own, also in a crowd."""
    login, session = {"path": "/login", "expect": {"status": 303}}, {"path": "/session", "expect": {"within_seconds": 5}}
    rules = {"quantile": 0.5, "repeats": 20, "concurrency": 10}
    found = await run(service.url, login, session, kind="performance", performance=rules)
    assert found["outcome"] == "passed", found["reason"]
    assert len(found["times"]["version"]) == 20
