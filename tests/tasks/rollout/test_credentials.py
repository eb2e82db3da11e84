"""Credentials: a value is read only for where its block lets it go, and sent nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from pydantic import SecretStr, ValidationError

from blocks.credential import HOST, PLATFORM, SERVICE, Credential
from blocks.errors import BadInput
from tasks.analysis.sources import Subject, open_sources
from tasks.data.expectations import prepare_suite
from tasks.evidence.dependencies import check_dependency
from tasks.rollout import credentials
from tasks.rollout.credentials import expect_credentials
from tasks.rules.plan import types
from tasks.rules.plan.credentials import Receiver, database_uses
from tasks.rules.plan.plan import Dependency, Judgement, SmokeTest, Verification
from tasks.verification.health import probe_health
from tasks.verification.smoke import run_smoke_test
from tests.rules.plan.test_credentials import TOKEN, plan_of
from tests.tasks.fake_platform import FakePlatform
from tests.tasks.faulty_server import FaultyServer, serving

HERE = {"services": ["shop"], "platforms": ["local/shop-staging", "local/shop-production"]}
STEP = {"path": "/echo", "secret_headers": TOKEN}


@pytest.fixture
def service() -> Any:
    """A server that takes down what it is asked."""
    with serving() as server:
        yield server


def hold(monkeypatch: pytest.MonkeyPatch, block: Block | None = None, **bounds: Any) -> None:
    """Let every name be that of one block."""
    held = block or Credential(value=SecretStr("hush-hush"), **bounds)

    async def load(*_: Any, **__: Any) -> Block:
        return held

    monkeypatch.setattr(credentials, "load_block", load)


async def health(url: str, receiver: Receiver) -> Any:
    """Make a health check with a credential."""
    stable = {"successes": 1, "interval_seconds": 0.01, "timeout_seconds": 0.1}
    verification = Verification.model_validate({"health": [STEP], "stability": stable})
    return await probe_health.fn(url, verification=verification, version="1.1", receiver=receiver)


async def smoke(url: str, receiver: Receiver) -> Any:
    """Make a step with a credential."""
    test = SmokeTest.model_validate({"name": "smoke", "steps": [STEP]})
    return await run_smoke_test.fn(test, folder="/nowhere", target=url, version="1.1", receiver=receiver)


async def probe(_url: str, receiver: Receiver) -> Any:
    """Open the sources of a watch with a credential."""
    judgement = Judgement.model_validate({"slis": [{"name": "p", "indicator": "errors", "source": "probe", **STEP}]})
    subject = Subject(receiver.service, "production", judgement, platform=receiver.platform)
    async with open_sources(subject, FakePlatform(), versions={"canary": "1.1"}):
        return None


async def dependency(url: str, receiver: Receiver) -> Any:
    """Ask a dependency with a credential."""
    spec = Dependency.model_validate({"name": "other", "url": f"{url}/echo", "secret_headers": TOKEN})
    return await check_dependency.fn(spec, service=receiver.service)


@pytest.mark.parametrize("check", [health, smoke, probe, dependency])
@pytest.mark.parametrize(
    ("bounds", "receiver"),
    [
        ({"services": ["shop"], "hosts": ["accounts.example.org"]}, Receiver("shop", platform="local/shop-staging")),
        ({"services": ["other"], "hosts": ["URL"], "platforms": HERE["platforms"]}, Receiver("shop", platform="local/shop-staging")),
        ({**HERE, "hosts": ["accounts.example.org"]}, Receiver("shop", platform="local/evil")),
    ],
    ids=["another host", "another service", "another platform"],
)
async def test_nothing_is_sent_that_the_block_does_not_allow(
    service: FaultyServer, monkeypatch: pytest.MonkeyPatch, check: Any, bounds: dict[str, Any], receiver: Receiver
) -> None:
    """Looked at by each check itself right before it sends; the error names credential, field and fix, and no value."""
    hold(monkeypatch, **{**bounds, "hosts": [service.url if host == "URL" else host for host in bounds.get("hosts", [])]})
    with pytest.raises(BadInput, match=r"credential/token .*`shipway credential token --") as refused:
        await check(service.url, receiver)
    assert service.asked == []
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("check", [health, smoke, probe, dependency])
async def test_what_the_block_allows_is_sent(service: FaultyServer, monkeypatch: pytest.MonkeyPatch, check: Any) -> None:
    """To the versions of its platforms, and to its hosts."""
    hold(monkeypatch, **HERE, hosts=[service.url])
    await check(service.url, Receiver("shop", platform="local/shop-production"))
    assert service.asked == ([] if check is probe else ["/echo"])


@pytest.mark.parametrize("block", [Secret(value=SecretStr("hush-hush")), Credential(value=SecretStr(" "), **HERE)], ids=["plain", "empty"])
async def test_a_block_without_bounds_is_not_sent(service: FaultyServer, monkeypatch: pytest.MonkeyPatch, block: Block) -> None:
    """As one of Prefect's own type, which says not where it may go."""
    hold(monkeypatch, block)
    with pytest.raises(BadInput, match="does not hold a credential"):
        await dependency(service.url, Receiver("shop"))
    assert service.asked == []


async def test_a_redirect_takes_no_credential_to_another_host(service: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even to another port of the same machine."""
    hold(monkeypatch, **HERE, hosts=[service.url])
    with serving() as evil:
        service.elsewhere = f"{evil.url}/echo"
        spec = {"name": "other", "url": f"{service.url}/away", "secret_headers": TOKEN}
        state = await check_dependency.fn(Dependency.model_validate(spec), service="shop")
        assert "another host" in state.reason
        assert service.asked == ["/away"]
        assert evil.asked == []


async def test_a_database_is_asked_for_the_platforms_of_its_block_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Production's database is not read in staging, before people are asked."""
    (tmp_path / "s.yaml").write_text("expectations: [{type: expect_column_values_to_not_be_null, kwargs: {column: a}}]")
    plan = plan_of()
    hold(monkeypatch, services=["shop"], platforms=["local/shop-production"])
    for moment, outcome in (("staging", "error"), ("production", None)):
        uses = database_uses(plan, 0, moment)  # type: ignore[arg-type]
        job = await prepare_suite.fn(plan.data[0], name="rows", field="data[0]", uses=uses, folder=str(tmp_path))
        assert (job.finding or {}).get("outcome") == outcome
        assert "hush" not in str(job.finding)


async def test_all_credentials_of_a_plan_are_looked_at_before_any_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that is not allowed ends it, with its field."""
    hold(monkeypatch, **HERE, hosts=["accounts.example.org"])
    await expect_credentials.fn(plan_of())
    spec = {"name": "evil", "url": "https://evil.example/", "secret_headers": TOKEN}
    with pytest.raises(BadInput, match=r"may not be sent to https://evil\.example") as refused:
        await expect_credentials.fn(plan_of(dependencies=[spec]))
    assert refused.value.field == "dependencies[0].secret_headers.X-Key"
    hold(monkeypatch, services=["shop"], hosts=["accounts.example.org"], platforms=["local/shop-staging"])
    with pytest.raises(BadInput, match="local/shop-production"):
        await expect_credentials.fn(plan_of())


@pytest.mark.parametrize(
    ("bounds", "taken"),
    [
        (
            {"services": ["shop"], "hosts": ["accounts.example.org", "http://a_b:80", "*.example.org:8443", "127.0.0.1:1", "[::1]:8080"]},
            True,
        ),
        ({"services": ["shop"], "platforms": ["local/shop"]}, True),
        ({"services": [], "hosts": ["a.example"]}, False),
        ({"services": ["*"], "hosts": ["a.example"]}, False),
        ({"services": ["shop"]}, False),
        *(
            ({"services": ["shop"], "hosts": [host]}, False)
            for host in (
                "",
                "*",
                "*.org",
                "a.*.org",
                "a*.example.org",
                "a.example/x",
                "u@a.example",
                "ftp://a.example",
                "A.example",
                "a.",
                "*.1.2\n",
            )
        ),
    ],
)
def test_a_block_has_bounds_that_mean_one_thing(bounds: dict[str, Any], taken: bool) -> None:  # noqa: FBT001 - from the table
    """Neither any service, nor any host, nor a path; and it goes somewhere."""
    try:
        Credential(value=SecretStr("hush-hush"), **bounds)
    except ValidationError:
        assert not taken
    else:
        assert taken


def test_the_patterns_of_the_block_have_a_fix_in_words() -> None:
    """Rules import no block, so that they have patterns of their own."""
    assert (HOST, SERVICE, PLATFORM) == (types.HOST, types.NAME, types.BLOCK)
    assert {HOST, SERVICE, PLATFORM} <= set(types.PATTERN_WORDS)
