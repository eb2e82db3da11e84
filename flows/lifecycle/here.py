"""Whether a rollback runs in the process of who asked for it, as with `--here`: a person on the worker's machine, and not the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_here: ContextVar[bool] = ContextVar("here", default=False)


@contextmanager
def asked_here() -> Iterator[None]:
    """Say of what happens inside that a person asked for it on this machine; no parameter of a run says so."""
    token = _here.set(True)
    try:
        yield
    finally:
        _here.reset(token)


def is_asked_here() -> bool:
    """Say whether a person asked for it on this machine."""
    return _here.get()
