"""For which run this process reads: versions keep their names under a lease for its owner alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_reader: ContextVar[str] = ContextVar("reader", default="")


@contextlib.contextmanager
def reading_for(run: str) -> Iterator[None]:
    """Let this process read for a run.

    Args:
        run: Flow run id of a release; "" names versions as whoever owns the workload does, as a rollback does that will take it over.
    """
    token = _reader.set(run)
    try:
        yield
    finally:
        _reader.reset(token)


def is_stranger(owner: str) -> bool:
    """Say whether this process reads for another run than the owner: what it finds must be called so when the lease is released, too."""
    return _reader.get() not in {"", owner}
