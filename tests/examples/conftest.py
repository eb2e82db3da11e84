"""A running guestbook for each test, and one that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.guestbook_service import Guestbook, Start, starter


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start services in the test's own folder."""
    with starter(tmp_path) as one:
        yield one


@pytest.fixture(scope="module")
def guestbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guestbook]:
    """A healthy 1.1.0 that the tests share."""
    with starter(tmp_path_factory.mktemp("shared")) as one:
        yield one("--version", "1.1.0")
