"""The deployments of prefect.yaml, applied in this process: what `prefect deploy --all` does, without its start."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from blocks.errors import Permanent
from blocks.server import deployed, restore, settings


async def deploy_all(prefect_file: Path = settings.PROJECT / "prefect.yaml", *, only: Sequence[str] = ()) -> list[str]:
    """Apply every deployment of the file to the server of the present settings; again changes nothing.

    Prefect gives this only as a command; we call what that command calls, which the pinned version makes safe.

    Args:
        prefect_file: The file; entrypoints in it are module paths of this project.
        only: The names of those that are applied; empty for all.

    Returns:
        The deployments' names, in the file's order.

    Raises:
        Permanent: There is no deployment in it, or one is not valid or could not be applied; carries Prefect's output.
    """
    from prefect.cli.deploy._config import _load_deploy_configs_and_actions  # noqa: PLC0415
    from prefect.cli.deploy._core import _run_multi_deploy  # noqa: PLC0415
    from prefect.context import AsyncClientContext  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    words = io.StringIO()
    console = Console(file=words, width=200)
    configs, actions = _load_deploy_configs_and_actions(prefect_file, console=console)
    written = _count_written(prefect_file)
    if not configs or len(configs) != written:
        message = f"{prefect_file}: {written} deployment(s) written, {len(configs)} valid; fix the file. {_plain(words.getvalue())}"
        raise Permanent(message)
    configs = [config for config in configs if not only or config["name"] in only]
    try:
        with contextlib.chdir(prefect_file.parent), contextlib.redirect_stdout(words), _noting() as made:
            async with AsyncClientContext.get_or_create():  # one client for all; each reads the machine's certificates, which takes long
                await _run_multi_deploy(
                    configs, actions, deploy_all=True, prefect_file=prefect_file, console=console, is_interactive=lambda: False
                )
    except Exception as error:
        message = f"the deployments of {prefect_file} could not be applied: {error}; fix that file or the flow that it names"
        raise Permanent(message) from error
    await _keep(made)
    return [str(config["name"]) for config in configs]


@contextlib.contextmanager
def _noting() -> Iterator[dict[str, Any]]:
    """Note what Prefect's command applies, by the id that the server gave it: another flow may have a deployment of that name, too."""
    from prefect.cli.deploy import _core  # noqa: PLC0415

    core: Any = _core  # Prefect's own, which it does not offer
    made: dict[str, Any] = {}
    right = core.RunnerDeployment

    class Noting(right):  # type: ignore[misc, valid-type]
        """What is applied."""

        async def apply(self, **more: Any) -> UUID:
            """Apply it."""
            found: UUID = await self.aapply(**more)
            made[str(found)] = self
            return found

    core.RunnerDeployment = Noting
    try:
        yield made
    finally:
        core.RunnerDeployment = right


async def _keep(made: Mapping[str, Any]) -> None:
    """Put right what the command left or others changed meanwhile, and remember what was deployed, so that no worker starts anything else.

    Raises:
        Permanent: The server does not have what the file says: it was changed in this moment.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId  # noqa: PLC0415

    chosen = DeploymentFilter(id=DeploymentFilterId(any_=[UUID(one) for one in made]))
    async with get_client() as client:
        for one in await client.read_deployments(deployment_filter=chosen, limit=200):
            await restore.set_right(client, one, _written(made[str(one.id)], one))
            if made[str(one.id)].concurrency_limit is None:  # Prefect's command leaves a limit that the file does not name
                await restore.restore_limit(client, one, None)
        found = await client.read_deployments(deployment_filter=chosen, limit=200)
    ours = {str(one.id): one for one in found if not restore.differing(one, _written(made[str(one.id)], one))}
    deployed.keep(list(ours.values()))  # those that are right serve, whatever others did to the rest meanwhile
    if missing := ", ".join(sorted(one.name for name, one in made.items() if name not in ours)):
        raise Permanent(f"the server does not have what was just deployed: {missing}; deploy again, and find out who changed it")


def _written(wanted: Any, found: Any) -> dict[str, Any]:
    """Give what the file says of a deployment, as it is remembered.

    Args:
        wanted: What Prefect's command applied.
        found: As the server gives it; of schedules that are right it says since when they count.
    """
    facts = {
        "entrypoint": wanted.entrypoint, "path": None, "pull_steps": wanted.storage.to_pull_step() or [],
        "job_variables": wanted.job_variables, "work_pool_name": wanted.work_pool_name, "parameters": wanted.parameters,
        "storage_document_id": None, "infrastructure_document_id": None, "enforce_parameter_schema": wanted.enforce_parameter_schema,
        "tags": sorted(wanted.tags or []),
        "parameter_openapi_schema": wanted._parameter_openapi_schema.model_dump(exclude_unset=True),  # noqa: SLF001
    }  # fmt: skip
    if wanted.work_queue_name:
        facts["work_queue_name"] = wanted.work_queue_name
    if not deployed.is_own_and_urgent(facts):
        return facts  # people may have given it schedules, and switched them on
    there, right = deployed.schedules_of(found), deployed.schedules_of(wanted)
    right = [one | {"active": one["active"] is not False, "parameters": one["parameters"] or {}} for one in right]
    return facts | {"schedules": there if _timeless(there) == _timeless(right) else right}


def _timeless(schedules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one | {"schedule": {name: value for name, value in one["schedule"].items() if name != "anchor_date"}} for one in schedules]


def _count_written(prefect_file: Path) -> int:
    return len((yaml.safe_load(prefect_file.read_text()) or {}).get("deployments") or [])


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[-500:]
