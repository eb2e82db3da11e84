"""Ask another service whether it is there, well, and of a fitting version."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from prefect import task
from prefect.context import TaskRunContext

from blocks.errors import Temporary
from tasks.lifecycle.policy import OBSERVE
from tasks.process.tls import trust
from tasks.rules.evidence.dependencies import MAX_BODY_BYTES, DependencyState, judge_dependency, may_follow, no_answer
from tasks.rules.plan.plan import Dependency

MAX_REDIRECTS = 3
BUSY = frozenset({429, 502, 503, 504})


@task(name="check dependency", task_run_name="dependency: {spec.name}", **OBSERVE)
async def check_dependency(spec: Dependency) -> DependencyState:
    """Ask one dependency; where another try may help it is asked again, and the last try gives the state as it is.

    Args:
        spec: The plan's entry.

    Returns:
        The state; no answer is `no_data`, never a pass.

    Raises:
        Temporary: No answer or a busy one, and tries are left.
    """
    state, may_pass = await ask_dependency(spec)
    if may_pass and not _is_last_try():
        raise Temporary(state.reason)
    return state


def _is_last_try() -> bool:
    context = TaskRunContext.get()
    return context is None or context.task_run.run_count > int(context.task.retries or 0)


async def ask_dependency(spec: Dependency, *, client: httpx.AsyncClient | None = None) -> tuple[DependencyState, bool]:
    """Send one request, within the plan's time, to the service's own host and nowhere else.

    Args:
        spec: The plan's entry.
        client: A client that follows no redirects; None makes one.

    Returns:
        The state, and whether another try may find a better one.
    """
    start = time.monotonic()
    try:
        async with asyncio.timeout(spec.timeout_seconds), _client(client) as asking:
            status, body = await _get(asking, spec)
    except TimeoutError:
        return no_answer(spec, f"none within {spec.timeout_seconds:g} s"), True
    except httpx.TransportError as error:
        reason, temporary = _in_words(error)
        return no_answer(spec, reason), temporary
    except _NotFollowedError as error:
        return DependencyState(spec.name, "failed", f"{spec.name}: {error}"), False
    except httpx.InvalidURL as error:
        return DependencyState(spec.name, "error", f"{spec.name}: the address cannot be used: {error}"), False
    state = judge_dependency(spec, status=status, body=body, latency_seconds=time.monotonic() - start)
    return state, status in BUSY


class _NotFollowedError(Exception):
    """A redirect leads elsewhere, or round and round."""


@asynccontextmanager
async def _client(given: httpx.AsyncClient | None) -> AsyncIterator[httpx.AsyncClient]:
    if given is not None:
        yield given
        return
    certificates, headers = await trust(environment=True), {"Accept-Encoding": "identity"}
    async with httpx.AsyncClient(verify=certificates, follow_redirects=False, timeout=None, headers=headers) as client:  # noqa: S113
        yield client


async def _get(client: httpx.AsyncClient, spec: Dependency) -> tuple[int, bytes]:
    url = httpx.URL(spec.url)
    for _ in range(MAX_REDIRECTS + 1):
        async with client.stream("GET", url) as response:
            if not response.has_redirect_location:
                return response.status_code, await _body(response, wanted=spec.version is not None)
            target = url.join(response.headers["location"])
        if not may_follow(str(url), str(target)):
            message = (
                f"{url} redirects to {target.copy_with(query=None, userinfo=b'')}, which is elsewhere; name the right address in the plan"
            )
            raise _NotFollowedError(message)
        url = target
    message = f"{spec.url} redirects more than {MAX_REDIRECTS} times"
    raise _NotFollowedError(message)


async def _body(response: httpx.Response, *, wanted: bool) -> bytes:
    body = b""
    if wanted and response.status_code == httpx.codes.OK:
        async for chunk in response.aiter_raw():  # raw: a few compressed bytes could become gigabytes
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                break
    return body


def _in_words(error: httpx.TransportError) -> tuple[str, bool]:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            fix = "renew it, or give this machine the authority's certificate in SSL_CERT_FILE"
            return f"its TLS certificate is not trusted ({cause.verify_message}); {fix}", False
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or cause}); look whether the address really speaks https", False
        cause = cause.__cause__ or cause.__context__
    return f"{str(error) or type(error).__name__}", True
