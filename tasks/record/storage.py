"""Whether the machines that take runs share the storage of results and record: without it, none can finish what another began."""

from __future__ import annotations

import logging
import re
import socket
from uuid import UUID

from prefect import get_client, task
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.sorting import FlowRunSort
from prefect.results import aget_default_result_storage
from prefect.settings import get_current_settings

from blocks.errors import Refused, Tampered
from blocks.outside_text import error_text
from tasks.lifecycle.retries import OBSERVE
from tasks.lifecycle.run_labels import HOST, machine
from tasks.record.borders import hold
from tasks.record.objects import NoStorage, Objects, StorageFault, objects_of
from tasks.record.patience import patient
from tasks.record.sealing import SealedStorage

RECENT = 50

_known: dict[tuple[str, ...], Objects] = {}


async def default_storage() -> Objects:
    """Give Prefect's default result storage, which holds the records too; looked up once a process, since Prefect asks the server."""
    settings = get_current_settings()
    key = (str(settings.api.url), str(settings.results.default_storage_block), str(settings.results.local_storage_path))
    if key not in _known:
        found = await aget_default_result_storage()
        hold(found)
        objects = found.objects if isinstance(found, SealedStorage) else objects_of(found)
        if isinstance(objects, NoStorage):
            return objects
        _known[key] = objects
    return _known[key]


@task(name="show machine", **OBSERVE)
async def show_machine(run: str) -> None:
    """Show on a run, and in the storage, which machine this is; without the storage the keeper does what else it can."""
    try:
        await patient(await default_storage()).create(_place(_host()), b"")
    except (Refused, Tampered, StorageFault) as error:
        logging.getLogger("shipway").warning("this machine cannot register in the storage: %s", error_text(error))
    async with get_client() as client:
        await client.update_flow_run_labels(UUID(run), {HOST: machine()})


@task(name="check storage", **OBSERVE)
async def check_storage() -> None:
    """Look whether every machine that ran something of late shows in this storage, as this one does from now on.

    Raises:
        Refused: One does not, so it keeps its results and records elsewhere.
    """
    objects, me = await default_storage(), _host()
    await objects.create(_place(me), b"")
    async with get_client() as client:
        recent = await client.read_flow_runs(flow_run_filter=FlowRunFilter(), sort=FlowRunSort.START_TIME_DESC, limit=RECENT)
    others = {str((run.labels or {}).get(HOST, "")).partition("/")[0] for run in recent} - {"", me}
    strangers = [other for other in sorted(others) if await objects.read(_place(other)) is None]
    if strangers:
        raise Refused(
            f"runs of this server also start on {', '.join(strangers)}, which does not share the storage {objects.name} with {me}, "
            "so neither could finish what the other began; let PREFECT_DEFAULT_RESULT_STORAGE_BLOCK name a filesystem block that all "
            "machines reach, or end that machine's worker and ask again in a quarter of an hour, when its runs are no longer among "
            f"the last {RECENT}"
        )


def _host() -> str:
    return socket.gethostname()


def _place(host: str) -> str:
    return f"machines/{re.sub(r'[^0-9A-Za-z._-]', '_', host)}"
