"""The deployments of prefect.yaml, applied in this process: what `prefect deploy --all` does, without its start."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import yaml

from blocks.errors import Permanent
from blocks.server import deployed, restore, settings


async def deploy_all(prefect_file: Path = settings.PROJECT / "prefect.yaml") -> list[str]:
    """Apply every deployment of the file to the server of the present settings; again changes nothing.

    Prefect gives this only as a command; we call what that command calls, which the pinned version makes safe.

    Args:
        prefect_file: The file; entrypoints in it are module paths of this project.

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
    try:
        with contextlib.chdir(prefect_file.parent), contextlib.redirect_stdout(words):
            async with AsyncClientContext.get_or_create():  # one client for all; each reads the machine's certificates, which takes long
                await _run_multi_deploy(
                    configs, actions, deploy_all=True, prefect_file=prefect_file, console=console, is_interactive=lambda: False
                )
    except Exception as error:
        message = f"the deployments of {prefect_file} could not be applied: {error}; fix that file or the flow that it names"
        raise Permanent(message) from error
    names = [str(config["name"]) for config in configs]
    await _keep(configs, pull=actions.get("pull"), folder=prefect_file.parent)
    return names


async def _keep(configs: list[dict[str, Any]], *, pull: list[Any] | None, folder: Path) -> None:
    """Remember what was deployed, so that no worker starts anything else.

    Raises:
        Permanent: The server does not have what the file says: it was changed in this moment.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName  # noqa: PLC0415

    def written(config: dict[str, Any]) -> tuple[Any, ...]:
        variables = (config.get("work_pool") or {}).get("job_variables") or {}
        steps = config.get("pull", pull)
        return config["name"], config["entrypoint"], variables, _own_step(folder) if steps is None else steps

    chosen = DeploymentFilter(name=DeploymentFilterName(any_=[str(config["name"]) for config in configs]))
    async with get_client() as client:
        unlimited = [written(config)[:2] for config in configs if not config.get("concurrency_limit")]
        for one in await client.read_deployments(deployment_filter=chosen):
            if (one.name, one.entrypoint) in unlimited:  # Prefect's command leaves a limit that the file does not name
                await restore.restore_limit(client, one, None)
        found = await client.read_deployments(deployment_filter=chosen)
    wanted = [written(config) for config in configs]
    ours = [one for one in found if (one.name, one.entrypoint, one.job_variables, one.pull_steps or []) in wanted]
    if len(ours) < len(wanted):
        names = {one.name for one in ours}
        missing = ", ".join(name for name, *_ in wanted if name not in names)
        raise Permanent(f"the server does not have what was just deployed: {missing}; deploy again, and find out who changed it")
    deployed.keep(ours)


def _own_step(folder: Path) -> list[Any]:
    """Give the pull step that Prefect writes if a file names none."""
    return [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder.resolve())}}]


def _count_written(prefect_file: Path) -> int:
    return len((yaml.safe_load(prefect_file.read_text()) or {}).get("deployments") or [])


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[-500:]
