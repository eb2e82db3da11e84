"""Dependencies: check whether another service answers, healthy and in a fitting version."""

from __future__ import annotations

from prefect import task
from prefect.context import TaskRunContext

from blocks.errors import Temporary
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.evidence.dependencies import DependencyState, judge_dependency
from tasks.rules.plan.credentials import Receiver
from tasks.rules.plan.plan import Dependency
from tasks.rules.verification.http_check import fault_of_answer
from tasks.verification.http_check import NO_ANSWER, Asker, http_client, load_secrets

MAX_REDIRECTS = 3
BUSY = frozenset({429, 502, 503, 504})


@task(name="check dependency", task_run_name="dependency: {spec.name}", **OBSERVE)
async def check_dependency(spec: Dependency, *, service: str = "") -> DependencyState:
    """Check one dependency; retried if that may help, and the last try returns the state as it is.

    Args:
        spec: The plan's entry.
        service: The plan's service, for the credentials that it names.

    Returns:
        The state; no answer is `no_data`, never a pass.

    Raises:
        Temporary: It does not answer or is busy, and retries are left.
        BadInput: A credential that it names does not exist, or may not go there.
    """
    state, may_pass = await ask_dependency(spec, service=service)
    if may_pass and not _is_last_try():
        raise Temporary(state.reason)
    return state


def _is_last_try() -> bool:
    context = TaskRunContext.get()
    return context is None or context.task_run.run_count > int(context.task.retries or 0)


async def ask_dependency(spec: Dependency, *, service: str = "") -> tuple[DependencyState, bool]:
    """Send one request, within the plan's time, to the service's own host and nowhere else.

    Args:
        spec: The plan's entry.
        service: The plan's service, for the credentials that it names.

    Returns:
        The state, and whether a retry may find a better one.
    """
    secrets = await load_secrets([spec], field="dependencies", receiver=Receiver(service, url=spec.url))
    async with http_client(environment=True) as client:
        asker = Asker(client, secrets)
        late = f"{NO_ANSWER}none within {spec.timeout_seconds:g} s"
        answer = await asker.ask(spec, spec.url, timeout_seconds=spec.timeout_seconds, late=late, redirects=MAX_REDIRECTS)
        fault = asker.clean(fault_of_answer(answer, spec.expect, version="{version}", any_length=True))
    state = judge_dependency(spec, answer, fault=fault.removeprefix(NO_ANSWER))
    may_pass = (answer.status is None and not answer.permanent) or answer.status in BUSY
    return state, may_pass and state.outcome != "passed"
