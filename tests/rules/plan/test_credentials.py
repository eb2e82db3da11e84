"""Where a plan sends credentials, and what the bounds of a block refuse."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.rules.plan.credentials import (
    Bounds,
    Receiver,
    Use,
    calendar_refusal,
    credentials_in_words,
    is_listed,
    origin_of,
    refusal,
    uses_in,
    uses_of,
)
from tasks.rules.plan.http import HttpRequest
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.types import URL

BOUNDS = Bounds(["shop"], ["accounts.example.org", "http://accounts.internal:8080", "*.parts.example.org"], ["local/shop-staging"])
TOKEN = {"X-Key": "credential/token"}


def plan_of(**more: Any) -> Plan:
    """Give a plan that names a credential wherever one can be named, unless it is told to name others."""
    return Plan.model_validate(
        {
            "shipway": 1,
            "service": "shop",
            "staging": {"platform": "local/shop-staging"},
            "production": {"platform": "local/shop-production", "steps": [{"percent": 100}]},
            "approval": {"quorum": 0},
            "rollback": {},
            "checklist": {"tests_passed": False},
            "verification": {
                "health": [{"secret_headers": TOKEN}],
                "smoke": [{"name": "smoke", "steps": [{"path": "/", "secret_headers": {"X-Key": "credential/smoke"}}]}],
            },
            "judgement": {
                "slis": [
                    {"name": "a", "indicator": "errors"},
                    {"name": "b", "indicator": "errors", "source": "probe", "path": "/", "secret_headers": {"X-Key": "credential/probe"}},
                ]
            },
            "dependencies": [{"name": "accounts", "url": "https://accounts.example.org/info", "secret_headers": TOKEN}],
            "data": [
                {
                    "name": "rows", "suite": "s.yaml", "table": "t",
                    "connection": {"staging": "credential/db-s", "production": "credential/db-p"},
                }
            ],
            "windows": {"deny": [{"ics": "credential/calendar", "zone": "UTC"}]},
            **more,
        }
    )  # fmt: skip


def names_in(value: Any) -> set[str]:
    """Find each text that names a credential, however deep."""
    if isinstance(value, str):
        return {value} if value.startswith("credential/") else set()
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return {name for member in members for name in names_in(member)}


def test_every_place_in_which_a_plan_names_a_credential_is_a_use_of_it() -> None:
    """Found in the plan's own JSON, so that a new place cannot be forgotten; each is said with where its value goes."""
    plan = plan_of()
    assert {use.credential for use in uses_of(plan)} == names_in(plan.model_dump(mode="json"))
    assert credentials_in_words(uses_of(plan)) == [
        "credential/calendar: the calendar that it names",
        "credential/db-p: the database that it names, for local/shop-production",
        "credential/db-s: the database that it names, for local/shop-staging",
        "credential/probe: versions on local/shop-production",
        "credential/smoke: versions on local/shop-production; versions on local/shop-staging",
        "credential/token: https://accounts.example.org; versions on local/shop-production; versions on local/shop-staging",
    ]


@pytest.mark.parametrize("field", ["credential", "secret"])
def test_the_schema_knows_no_other_block_for_a_secret(field: str) -> None:
    """A block of Prefect's type Secret says not where it may go, so no plan can name it."""
    patterns = re.findall(rf"\^{field}/", str(Plan.model_json_schema()))
    assert bool(patterns) == (field == "credential")


@pytest.mark.parametrize(
    ("receiver", "host", "said"),
    [
        (Receiver("shop", url="https://accounts.example.org/info?x=1"), "", ""),
        (Receiver("shop", url="https://ACCOUNTS.example.org:443"), "", ""),
        (Receiver("shop", url="https://eu.parts.example.org/"), "", ""),
        (Receiver("shop", url="http://accounts.internal:8080/"), "", ""),
        (Receiver("shop", platform="local/shop-staging"), "", ""),
        (Receiver("shop", platform="local/shop-staging"), "accounts.example.org", ""),
        (Receiver("shop", platform="local/shop-staging"), "accounts.internal:8080", ""),
        (Receiver("other", url="https://accounts.example.org/"), "", "not for the service other"),
        (Receiver("", platform="local/shop-staging"), "", "not for the service"),
        (Receiver("shop", url="https://evil.example/"), "", "may not be sent to https://evil.example,"),
        (Receiver("shop", url="https://accounts.example.org.evil.example/"), "", "may not be sent"),
        (Receiver("shop", url="https://evil.example/accounts.example.org"), "", "may not be sent"),
        (Receiver("shop", url="https://accounts.example.org:8443/"), "", "may not be sent to https://accounts.example.org:8443,"),
        (Receiver("shop", url="http://accounts.example.org/"), "", "may not be sent to http://accounts.example.org,"),
        (Receiver("shop", url="http://accounts.example.org:443/"), "", "may not be sent"),
        (Receiver("shop", url="https://accounts.internal:8080/"), "", "may not be sent"),
        (Receiver("shop", url="https://parts.example.org/"), "", "may not be sent"),
        (Receiver("shop", url="https://a.b.parts.example.org/"), "", "may not be sent"),
        (Receiver("shop", url="https://evilparts.example.org/"), "", "may not be sent"),
        (Receiver("shop", url="https://.parts.example.org/"), "", "may not be sent"),
        (Receiver("shop", url="https://accounts.example.org\\.evil.example/"), "", "not a plain host"),
        (Receiver("shop", url="https://accounts.example.org%2eevil.example/"), "", "not a plain host"),
        (Receiver("shop", url="https://accounts.example.org"), "evil.example", "Host: evil.example"),
        (Receiver("shop", url="https://accounts.example.org"), "accounts.internal:8080", "Host: accounts.internal:8080"),
        (Receiver("shop", platform="local/shop-staging"), "evil.example", "Host: evil.example"),
        (Receiver("shop", platform="local/shop-staging"), "accounts.example.org/evil", "Host: "),
        (Receiver("shop", platform="local/shop-production"), "", "not for versions on local/shop-production"),
        (Receiver("shop"), "", "not for versions on"),
    ],
)
def test_a_credential_goes_where_its_block_says_and_nowhere_else(receiver: Receiver, host: str, said: str) -> None:
    """By service, scheme, host and port, or by platform; and `Host` leads to no other host behind a proxy."""
    wrong = refusal(Use("credential/token", "dependencies[0]", receiver, host), BOUNDS)
    assert (wrong is None) == (said == ""), wrong
    assert said in (wrong or ("",))[0]
    assert wrong is None or "shipway credential token --" in wrong[1] or "https://host:port" in wrong[1]


@pytest.mark.parametrize("header", ["Host", "hOST", "X-Forwarded-Host", "X-Host", "X-Original-Host", "X-Forwarded-Server", "Forwarded"])
@pytest.mark.parametrize("host", ["accounts.example.org", "evil.example", "accounts.example.org, evil.example"])
def test_no_header_by_which_a_proxy_routes_is_beside_a_credential_unless_its_value_is_a_listed_host(header: str, host: str) -> None:
    """Also if it lists several, of which one is allowed; nor may its value be a secret itself, which no one sees."""
    value = host if header != "Forwarded" else ", ".join(f'for=10.0.0.1;Host="{one}"' for one in host.split(", "))
    request = HttpRequest.model_validate({"headers": {header: value}, "secret_headers": TOKEN})
    found = [refusal(use, BOUNDS) for use in uses_in([("d", request)], Receiver("shop", url="https://accounts.example.org/x"))]
    assert any(found) == (host != "accounts.example.org")
    assert all(one is None or f"the header {header}: " in one[0] for one in found)
    with pytest.raises(ValidationError, match="may lead other credentials elsewhere"):
        HttpRequest.model_validate({"secret_headers": {**TOKEN, header: "credential/mine"}})


def test_what_names_its_own_address_is_bound_to_the_service_and_the_platform() -> None:
    """A plan cannot choose where a database or a calendar is, but whose it asks."""
    database = [
        Use("credential/db", "data[0]", Receiver("shop", platform=f"local/{name}"), of="database") for name in ("shop-staging", "x")
    ]
    assert [refusal(use, BOUNDS) is None for use in database] == [True, False]
    calendars = [Use("credential/c", "windows", Receiver(service), of="calendar") for service in ("shop", "other")]
    assert [refusal(use, BOUNDS) is None for use in calendars] == [True, False]
    assert calendar_refusal("credential/c", "https://accounts.example.org/token-4711.ics", BOUNDS.hosts) is None
    wrong = calendar_refusal("credential/c", "https://evil.example/token-4711.ics", BOUNDS.hosts)
    assert wrong is not None
    assert "token" not in str(wrong)


HOSTILE = st.text(alphabet="ae.@:/\\?#%[]-_* 1\t\n", max_size=12)


@given(before=HOSTILE, after=HOSTILE)
def test_an_address_of_a_listed_host_leads_the_client_there(before: str, after: str) -> None:
    """Whatever stands around it: what we compare is the host to which the client connects."""
    url = f"https://{before}accounts.example.org{after}"
    origin = origin_of(url)
    if re.search(URL, url) and origin is not None and is_listed(origin, BOUNDS.hosts):
        asked = httpx.URL(url)
        assert (asked.scheme, asked.host, asked.port or 443) == ("https", origin.host, origin.port)
        assert urlsplit(url).hostname == origin.host


@given(st.text(alphabet="a.*:/0", max_size=14), st.text(alphabet="a.*:/0", max_size=14))
def test_an_entry_without_a_star_lists_only_itself(entry: str, host: str) -> None:
    """No entry is read as a pattern unless it begins with `*.`."""
    origin = origin_of(f"https://{host}")
    if origin is not None and "*" not in entry and "/" not in entry and is_listed(origin, [entry]):
        assert origin_of(f"https://{entry}") == origin
