"""What was deployed, kept beside the approval key: a run of anything else is not started.

Whoever has the API's password can change a deployment, the work pool's template or a run's job variables, and with them the code that runs
as the worker's user. So a worker compares what it is about to start with what `shipway up` deployed, before there is a process.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from blocks.server import layout

FIELDS = (
    "flow_id", "entrypoint", "path", "pull_steps", "job_variables", "work_pool_name", "work_queue_name", "parameters",
    "enforce_parameter_schema", "storage_document_id", "infrastructure_document_id",
)  # fmt: skip
ATTRIBUTION = {
    f"PREFECT__{name}" for name in ("FLOW_RUN_ID", "WORKER_ID", "WORKER_NAME", "FLOW_ID", "FLOW_NAME", "DEPLOYMENT_ID", "DEPLOYMENT_NAME")
}
FIX = "`shipway up` deploys prefect.yaml again; find out who changed it"


def keep(deployments: list[Any]) -> None:
    """Remember deployments as they are now, atomically, beside those that were deployed before.

    Args:
        deployments: As the server gives them right after they were applied.
    """
    path = _path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = _read(path) | {str(one.id): _facts(one) for one in deployments}
    layout.write_private(path, json.dumps(known, indent=1) + "\n")


def changed(deployment: Any, *, job_variables: Any) -> str:
    """Say how a run's deployment differs from what was deployed; "" if it does not.

    Args:
        deployment: As the worker read it to start the run; None if the run has none.
        job_variables: The run's own.
    """
    if deployment is None:
        return "it belongs to no deployment"
    if job_variables:
        return f"it sets job variables of its own: {', '.join(sorted(job_variables))}"
    known, found = _read(_path()).get(str(deployment.id)), _facts(deployment)
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


def _facts(deployment: Any) -> dict[str, Any]:
    facts: dict[str, Any] = deployment.model_dump(mode="json", include=set(FIELDS))
    return facts


def _path() -> Path:
    return Path(os.environ.get("SHIPWAY_KEY_FILE") or layout.key_file(layout.default_home())).parent / "deployed.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return found
