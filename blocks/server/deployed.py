"""What was deployed, kept beside the approval key: a run of anything else is not started.

Whoever has the API's password can change a deployment, the work pool's template or a run's job variables, and with them the code that runs
as the worker's user. So a worker compares what it is about to start with what `shipway up` deployed, before there is a process.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from pathlib import Path
from typing import Any

from blocks.errors import Refused
from blocks.server import layout

FIELDS = (
    "flow_id", "entrypoint", "path", "pull_steps", "job_variables", "work_pool_name", "work_queue_name", "parameters",
    "enforce_parameter_schema", "storage_document_id", "infrastructure_document_id",
)  # fmt: skip
RESTORED = (*(name for name in FIELDS if name != "flow_id"), "parameter_openapi_schema", "tags")  # what the API may set again
SCHEDULE = ("schedule", "active", "slug", "parameters")
ATTRIBUTION = {
    f"PREFECT__{name}" for name in ("FLOW_RUN_ID", "WORKER_ID", "WORKER_NAME", "FLOW_ID", "FLOW_NAME", "DEPLOYMENT_ID", "DEPLOYMENT_NAME")
}
NAME = "deployed.json"
MOST_OF_A_NAME = 10
PROJECT = Path(__file__).parents[2]
ENTRY_POINT = "PREFECT__FLOW_ENTRYPOINT"
URGENT = {f"flows.{name}.{name}" for name in ("rollback", "settle", "keeper", "freeze", "observe")}  # entry points of what nothing may stop
LOG = logging.getLogger("shipway")
FIX = "`shipway up` deploys prefect.yaml again; find out who changed it"
WHO = "Find out who changed it"


def keep(deployments: list[Any]) -> None:
    """Remember deployments as they are now, atomically, beside those that were deployed before.

    Args:
        deployments: As the server gives them right after they were applied.
    """
    path = _path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        before = _read(path)
    except Refused as error:
        LOG.warning("%s; it is written anew", error)
        before = {}
    known = _newest(before) | {str(one.id): facts_of(one) | {"limit": limit_of(one)} for one in deployments}
    layout.write_private(path, json.dumps(known, indent=1) + "\n")


def _newest(known: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Leave the oldest of many deployments of one name out: whoever deletes one again and again has it deployed anew each time."""
    kept, names = dict[str, dict[str, Any]](), Counter[str]()
    for one, facts in reversed(known.items()):
        names[str(facts.get("name"))] += 1
        if names[str(facts.get("name"))] <= MOST_OF_A_NAME:
            kept[one] = facts
    return dict(reversed(kept.items()))


def changed(deployment: Any, *, job_variables: Any) -> str:
    """Say how a run's deployment differs from what was deployed; "" if it does not.

    If what was deployed cannot be read, that is the difference; but rollbacks, `settle`, `observe` and the keeper start, as nothing may
    stop a rollback, or the look that leads to one, if their deployment runs this project's own code.

    Args:
        deployment: As the worker read it to start the run; None if the run has none.
        job_variables: The run's own.
    """
    if deployment is None:
        return "it belongs to no deployment"
    if job_variables:
        return f"it sets job variables of its own: {', '.join(sorted(job_variables))}"
    found = facts_of(deployment)
    try:
        known = _read(_path()).get(str(deployment.id))
    except Refused as error:
        if not is_own_and_urgent(found):
            return str(error)
        LOG.error("%s; %s starts without that comparison, as nothing may stop a rollback. %s", error, deployment.name, FIX)  # noqa: TRY400
        return ""
    if known is None:
        return f"its deployment {deployment.name} was not made by `shipway up`"
    return ", ".join(f"{name} of the deployment {deployment.name} was changed" for name in FIELDS if found[name] != known.get(name))


def other_process(configuration: Any, *, command: str, folder: Path, environment: dict[str, str]) -> str:
    """Say how the process that would be started differs from that of a worker's run; "" if it does not.

    Args:
        configuration: What the worker made of the pool's template, deployment and run.
        command: The right command.
        folder: The right working directory.
        environment: The worker's own environment and settings.
    """
    if configuration.command != command:
        return f"its command would be {configuration.command}"
    if configuration.working_dir != folder:
        return f"it would start in {configuration.working_dir}"
    foreign = [name for name, value in configuration.env.items() if name not in ATTRIBUTION and environment.get(name) != value]
    return f"its environment would have {', '.join(sorted(foreign))}" if foreign else ""


def entry_point(deployment: Any) -> dict[str, str]:
    """Give the variable by which Prefect runs the entry point that was compared, and does not read the deployment once more.

    Between comparison and start whoever has the API's password could add pull steps, which are commands.

    Args:
        deployment: One in which `changed` found nothing.

    Returns:
        Empty if the deployment fetches something first: that is read again, and runs.
    """
    return {ENTRY_POINT: str(deployment.entrypoint)} if _is_own(facts_of(deployment)) else {}


def known_entry_point(deployment: object, *, urgent: bool = False) -> str:
    """Give the entry point under which a deployment was made, whatever the server says of it now.

    Args:
        deployment: Its id; None if a run has none.
        urgent: Only of what nothing may stop, as a rollback.

    Returns:
        "" if it was not made here, fetches something first, or what was deployed cannot be read.
    """
    try:
        known = _read(_path()).get(str(deployment))
    except Refused:
        return ""
    return str(known["entrypoint"]) if known and (is_own_and_urgent if urgent else _is_own)(known) else ""


def known(home: Path | None = None) -> dict[str, dict[str, Any]]:
    """Give what was deployed, by the deployment's id.

    Args:
        home: The home directory; None means the one that this process uses.

    Raises:
        Refused: It cannot be read.
    """
    return _read(_path() if home is None else layout.key_file(home).parent / NAME)


def facts_of(deployment: Any) -> dict[str, Any]:
    """Give what is remembered of a deployment."""
    facts: dict[str, Any] = deployment.model_dump(mode="json", include={*FIELDS, *RESTORED, "name"})
    return facts | {"schedules": schedules_of(deployment), "tags": sorted(facts.get("tags") or [])}


def schedules_of(deployment: Any) -> list[dict[str, Any]]:
    """Give the schedules of a deployment, without what the server adds to them."""
    found = [one.model_dump(mode="json", include={*SCHEDULE}) for one in getattr(deployment, "schedules", None) or []]
    return sorted(found, key=lambda one: json.dumps(one, sort_keys=True))


def limit_of(deployment: Any) -> int | None:
    """Give how many runs of a deployment the server lets run at once; None if there is no limit."""
    limit = getattr(deployment, "global_concurrency_limit", None)
    return None if limit is None else int(limit.limit)


def is_own_and_urgent(facts: dict[str, Any]) -> bool:
    """Say whether a deployment runs one of the urgent flows as this project has it, and nothing before it."""
    return facts["entrypoint"] in URGENT and _is_own(facts)


def own_name(facts: dict[str, Any]) -> str:
    """Give the name of a deployment by which the code asks for it: one of the urgent flows, under the flow's own name; else ""."""
    name = str(facts.get("name", ""))
    return name if is_own_and_urgent(facts) and facts["entrypoint"] == f"flows.{name}.{name}" else ""


def _is_own(facts: dict[str, Any]) -> bool:
    """Say whether a deployment starts in this project's folder, with nothing fetched, run or set before."""
    own = [{"prefect.deployments.steps.set_working_directory": {"directory": str(PROJECT.resolve())}}]
    if facts["path"] not in {None, "", ".", str(PROJECT), str(PROJECT.resolve())}:
        return False
    foreign = ("job_variables", "storage_document_id", "infrastructure_document_id")
    return (facts["pull_steps"] or own) == own and not any(facts[name] for name in foreign)


def _path() -> Path:
    return Path(os.environ.get("SHIPWAY_KEY_FILE") or layout.key_file(layout.default_home())).parent / NAME


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Read what was deployed.

    Raises:
        Refused: It cannot be read, or is not what `keep` wrote.
    """
    try:
        found: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Refused(f"{path} cannot be read ({type(error).__name__}), so what was deployed is not known") from error
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise Refused(f"{path} does not say what was deployed")
    return found
