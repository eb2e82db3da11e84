"""Argo CD's API, and a faulty or foreign server in its place: bounded in time and size, and never with the token in a message."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from blocks.errors import BadInput, Refused, ShipwayError, Unreachable
from blocks.gitops import by_server
from blocks.gitops.argocd import ArgoCDApplication
from tests.faulty_http import FaultyHandler, FaultyHttp, running

TOKEN = "tok-3n-0f-4n-4cc0unt"
APPLICATION = {"metadata": {"name": "shop", "namespace": "argocd", "uid": "u-1", "resourceVersion": "1"}, "spec": {"source": {}}}


class ArgoCD(FaultyHandler):
    """Answers as it is told."""

    server: FaultyArgoCD

    def take(self, body: bytes) -> None:
        """Note what was asked, and answer."""
        del body
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        self.answer(self.server.fault)

    def answer_good(self) -> None:
        """Give an Application."""
        self._reply(200, json.dumps(APPLICATION).encode())

    def answer_page(self) -> None:
        """Give what a proxy before it would."""
        self._reply(200, b"<html>Sign in</html>")

    def answer_redirect(self) -> None:
        """Send elsewhere."""
        self._reply(302, b"", Location="http://127.0.0.1:9/elsewhere")

    def answer_encoded(self) -> None:
        """Say that it is compressed."""
        self._reply(200, b"x", **{"Content-Encoding": "gzip"})

    def answer_unauthorized(self) -> None:
        """Refuse the token."""
        self._reply(401, b'{"message":"invalid session: token is invalid"}')

    def answer_forbidden(self) -> None:
        """Refuse the account."""
        self._reply(403, b'{"message":"permission denied: applications, get, default/shop"}')

    def answer_missing(self) -> None:
        """Have no such Application."""
        self._reply(404, b'{"message":"not found"}')

    def answer_starting(self) -> None:
        """Be there soon."""
        self._reply(503, b"no healthy upstream")


class FaultyArgoCD(FaultyHttp):
    """Notes what it is asked."""

    def __init__(self) -> None:
        """Be good at first."""
        super().__init__(ArgoCD)
        self.fault, self.asked = "good", list[tuple[str, str, str]]()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyArgoCD]:
    """Serve, to a client that waits a second."""
    monkeypatch.setattr(by_server, "ANSWER_SECONDS", 1.0)
    with running(FaultyArgoCD()) as found:
        yield found


def block(api: FaultyArgoCD, **fields: Any) -> ArgoCDApplication:
    """Return the block of its Application."""
    return ArgoCDApplication(**{"application": "shop", "server": api.url, "token": SecretStr(TOKEN), **fields})


async def test_the_token_goes_to_the_server_in_its_header(api: FaultyArgoCD) -> None:
    """The Application is asked for by name and namespace."""
    assert await block(api).identity() == "argocd u-1"
    assert api.asked == [("GET", "/api/v1/applications/shop?appNamespace=argocd", f"Bearer {TOKEN}")]


@pytest.mark.parametrize("fault", ["hang", "drip", "torn", "page", "starting"])
async def test_what_may_pass_by_itself_is_unreachable(api: FaultyArgoCD, fault: str) -> None:
    """Within the time, however the answer drips."""
    api.fault, began = fault, time.monotonic()
    with pytest.raises(Unreachable) as raised:
        await block(api).look()
    assert TOKEN not in str(raised.value)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("fault", "words"), [("unauthorized", "token"), ("forbidden", "permission denied"), ("missing", "does not exist"), ("redirect", "302")]
)
async def test_what_a_person_must_fix_is_a_fault_with_words(api: FaultyArgoCD, fault: str, words: str) -> None:
    """It is seen by whoever looks, and is not temporary."""
    api.fault = fault
    seen = await block(api).look()
    assert words in seen.fault
    assert not seen.temporary
    assert TOKEN not in seen.fault


@pytest.mark.usefixtures("without_certificates")
async def test_a_bundle_of_certificates_that_is_being_replaced_is_unreachable() -> None:
    """So the request is tried again."""
    application = by_server.ByServer("https://127.0.0.1:9", TOKEN, "argocd", "shop", verify_tls=True)
    with pytest.raises(Unreachable, match=r"does not answer GET .*: FileNotFoundError"):
        await application.read()


@pytest.mark.parametrize("fault", ["gigabyte", "encoded"])
async def test_an_answer_is_bounded(api: FaultyArgoCD, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Neither a gigabyte nor what could become one is read."""
    monkeypatch.setattr(by_server, "ANSWER_SECONDS", 30.0)
    api.fault = fault
    assert "more than" in (await block(api).look()).fault
    assert api.megabytes < 100


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"server": "http://argocd.example.com"}, "unencrypted"),
        ({"token": SecretStr("")}, "token"),
        ({"token": SecretStr("two words")}, "token"),
        ({"token": None}, "token"),
        ({"context": "production"}, "both"),
        ({"server": ""}, "API"),
    ],
)
async def test_fields_that_do_not_fit_together_are_refused(api: FaultyArgoCD, fields: dict[str, Any], words: str) -> None:
    """Nothing is sent."""
    with pytest.raises(ShipwayError, match=words) as raised:
        await block(api, **fields).look()
    assert isinstance(raised.value, BadInput | Refused)
    assert api.asked == []
