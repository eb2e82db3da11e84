"""The service is there, is the right version and shows its page."""

import os
from collections.abc import Callable
from typing import Any

Fetch = Callable[..., tuple[int, Any]]


def test_the_service_is_healthy_and_ready(fetch: Fetch) -> None:
    """Health and readiness both answer 200."""
    assert fetch("/healthz") == (200, {"status": "ok"})
    assert fetch("/readyz")[0] == 200


def test_the_version_is_the_one_under_release(fetch: Fetch) -> None:
    """The target reports the version that is being released."""
    _, answer = fetch("/version")
    assert answer["service"] == "guestbook"
    assert answer["version"] == os.environ["SHIPWAY_VERSION"]


def test_the_page_shows_the_guestbook(fetch: Fetch) -> None:
    """A visitor sees the page."""
    status, page = fetch("/")
    assert status == 200
    assert "<h1>Guestbook</h1>" in page
