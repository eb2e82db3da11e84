"""What the service is for: a visitor sees the page, and an entry that is written can be read."""

import uuid
from collections.abc import Callable
from typing import Any

Fetch = Callable[..., tuple[int, Any]]


def test_an_entry_is_written_and_read_back(fetch: Fetch) -> None:
    """A new entry appears among the newest ones."""
    text = f"smoke test {uuid.uuid4()}"
    status, _ = fetch("/entries", {"name": "smoke", "text": text})
    assert status == 201
    status, answer = fetch("/entries")
    assert status == 200
    assert text in [entry["text"] for entry in answer["entries"]]


def test_an_empty_entry_is_refused(fetch: Fetch) -> None:
    """Validation is in force."""
    assert fetch("/entries", {"name": "", "text": ""})[0] == 400


def test_the_page_shows_the_guestbook(fetch: Fetch) -> None:
    """A visitor sees the page."""
    status, page = fetch("/")
    assert status == 200
    assert "<h1>Guestbook</h1>" in page
