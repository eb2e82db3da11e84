"""What the tests of the tasks share: local platforms, and Prefect without a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local_environments import make_local, shared_folder, shared_lease, shared_local

__all__ = ["make_local", "offline", "shared_folder", "shared_lease", "shared_local"]


@pytest.fixture
def offline() -> Iterator[None]:
    """Let events go nowhere: with a key and no server Prefect neither sends them nor starts a server for them."""
    from prefect.settings import PREFECT_API_KEY, PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    with temporary_settings({PREFECT_API_KEY: "unused"}, restore_defaults={PREFECT_API_URL}):
        yield
