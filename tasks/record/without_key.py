"""Whether this code rolls back: then it goes on although the key's folder cannot be used, and says what is not in the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_rolling_back: ContextVar[bool] = ContextVar("rolling_back", default=False)


@contextmanager
def rolling_back(*, on: bool = True) -> Iterator[None]:
    """Let what happens inside go on without the key: a version that must go does not wait for a file's rights.

    Args:
        on: False leaves it as it is.
    """
    token = _rolling_back.set(on or _rolling_back.get())
    try:
        yield
    finally:
        _rolling_back.reset(token)


def is_rolling_back() -> bool:
    """Say whether this code rolls back."""
    return _rolling_back.get()
