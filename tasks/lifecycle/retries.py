"""How tasks are retried and remembered: the two kinds of tasks that Shipway has.

OBSERVE reads the world: never remembered, retried if another try can help.
ONCE   acts or decides: its result is persisted under the `key` it is called with, which holds the release's id, so that a
       flow that runs again from its first line skips what is done. Exceptions are never remembered.

A call to a platform that is `Unreachable` is tried again for about two minutes: an API server that restarts is away for one, and a release
that gives up meanwhile cannot even be rolled back, since that asks the same server.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypedDict, TypeVar

import httpx
from prefect import Task
from prefect.cache_policies import NO_CACHE, CacheKeyFnPolicy, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import exponential_backoff

from blocks.errors import Temporary, Unreachable
from blocks.outside_text import safe_key

P = ParamSpec("P")
R = TypeVar("R")
FEW, JITTER = 4, 0.3
OVERLOADED = {408, 429}
SERVER_ERROR = 500


class Options(TypedDict, total=False):
    """The part of `@task(...)` that a policy sets."""

    persist_result: bool
    cache_policy: CachePolicy
    retries: int
    retry_delay_seconds: Any
    retry_jitter_factor: float
    retry_condition_fn: Any
    result_serializer: str


NOT_REACHED = "Failed to reach API"  # a RuntimeError by which Prefect's client says that it could not begin to ask


def as_temporary(error: BaseException) -> Temporary | None:
    """Give an error as a temporary one, or None if another try is useless.

    Temporary is what says so itself, and whatever the Prefect server or a proxy before it answers that is overloaded, restarting or away:
    each 5xx, 408, 429, and a connection that fails; but not a certificate that is not trusted.
    """
    if isinstance(error, Temporary):
        return error
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status < SERVER_ERROR and status not in OVERLOADED:
            return None
        return Temporary(f"{error.request.url.host} answered {status} to {error.request.method} {error.request.url.path}")
    if isinstance(error, RuntimeError) and str(error).startswith(NOT_REACHED):
        return Temporary(f"the Prefect server did not answer ({error})")
    if isinstance(error, httpx.TransportError) and not _is_untrusted(error):
        return Temporary(f"the Prefect server did not answer ({type(error).__name__}: {error})")
    return None


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def another_try_helps(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry only what is temporary; everything else would fail again."""
    return isinstance(state.data, BaseException) and as_temporary(state.data) is not None


def another_try_reaches(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry what is temporary a few times, and a platform that is unreachable as often as there are retries."""
    return another_try_helps(task, run, state) and (run.run_count <= FEW or isinstance(state.data, Unreachable))


def remembered_as(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Use the caller's `key` as the cache key, so that it is stable across attempts and processes."""
    return f"shipway/{safe_key(parameters['key'])}"


_RETRIES: Options = {
    "retries": FEW,
    "retry_delay_seconds": exponential_backoff(backoff_factor=0.5),
    "retry_jitter_factor": JITTER,
    "retry_condition_fn": another_try_helps,
}
# The same delays as for all others, then every five seconds for two minutes.
PATIENCE_SECONDS: list[float] = [0.5, 1, 2, 4, *[5.0] * 24]
_PATIENT: Options = {
    "retries": len(PATIENCE_SECONDS),
    "retry_delay_seconds": PATIENCE_SECONDS,
    "retry_condition_fn": another_try_reaches,
}
OBSERVE: Options = {**_RETRIES, "persist_result": False, "cache_policy": NO_CACHE}
ONCE: Options = {
    **_RETRIES,
    "persist_result": True,
    "result_serializer": "json",
    "cache_policy": CacheKeyFnPolicy(cache_key_fn=remembered_as),
}
OBSERVE_PLATFORM: Options = {**OBSERVE, **_PATIENT}
ONCE_ON_PLATFORM: Options = {**ONCE, **_PATIENT}


def named(task: Task[P, R], name: str) -> Task[P, R]:
    """Give a task whose run says on the release's page what it does: `25 %: shift`, `check staging`."""
    return task.with_options(task_run_name=name.replace("{", "(").replace("}", ")"))  # Prefect fills in what stands in braces


def retried(task: Task[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Call what a reading task does, with its retries and delays, but as a plain function: without a task run of its own.

    Bookkeeping stays out of the run's page that way, and fifty targets that are read side by side do not have the server store
    thousands of events, and wait for that.

    Args:
        task: A task by `OBSERVE` or `OBSERVE_PLATFORM`.

    Raises:
        TypeError: Another policy's task, which must not be tried again like this.
    """
    delays = task.retry_delay_seconds
    if not isinstance(delays, list) or task.persist_result:
        message = f"the task {task.name} does not only read: it must run as a task"
        raise TypeError(message)

    async def read(*positional: P.args, **named: P.kwargs) -> R:
        for tried, delay in enumerate(delays, start=1):
            try:
                return await task.fn(*positional, **named)
            except Exception as error:
                if as_temporary(error) is None or (tried > FEW and not isinstance(error, Unreachable)):
                    raise
            await asyncio.sleep(delay * random.uniform(1, 1 + JITTER))  # noqa: S311 - no secret
        return await task.fn(*positional, **named)

    return read
