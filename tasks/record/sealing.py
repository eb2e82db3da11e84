"""Results that cannot be forged: Prefect's result storage with a seal on each object, checked on reading.

Imported by whatever runs our flows, and in force from then on: each default storage of results that Prefect resolves, a folder as well as a
filesystem block, is sealed. No setting, block document or state on the server chooses another one: nor does the server's own default
storage count, which whoever has the API's password can set, as a storage is code and addresses. We replace a few functions of Prefect,
which has no setting for it; the pinned version makes that safe, and tests/tasks/record/test_sealing.py shows that it works.

A result that does not match its seal fails the task that asks for it: Prefect would take it for one that was never written, and do the
task once more.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect import results, states
from prefect.context import FlowRunContext, TaskRunContext
from prefect.filesystems import WritableFileSystem
from prefect.results import ResultStore
from prefect.settings import get_current_settings
from pydantic import PrivateAttr

from blocks.errors import Refused, Tampered, Temporary
from blocks.key_folder.seal import reading_seal, writing_seal
from blocks.outside_text import error_text
from tasks.record.child_runs import folder_of, place_of
from tasks.record.kept_storage import find_storage
from tasks.record.objects import NoStorage, Objects, objects_of
from tasks.record.patience import as_patient_as_now
from tasks.record.without_key import is_rolling_back

_blocks: dict[tuple[str, str], SealedStorage] = {}


class SealedStorage(WritableFileSystem):
    """Result storage that seals what is written and checks what is read."""

    _block_type_name = "Sealed Storage"
    _objects: Objects = PrivateAttr()

    @classmethod
    def around(cls, storage: WritableFileSystem | NoStorage) -> SealedStorage:
        """Seal a storage: a folder, in which results are then also written whole or not at all, or any filesystem block."""
        if isinstance(storage, SealedStorage):
            return storage
        sealed = cls()
        sealed._objects = objects_of(storage)
        return sealed

    @property
    def objects(self) -> Objects:
        """What is sealed, as it is stored."""
        return self._objects

    def _resolve_path(self, path: str) -> None:
        """Let Prefect keep the paths of results as they are, relative to the storage."""

    async def read_path(self, path: str) -> bytes:
        """Read a result.

        Raises:
            FileNotFoundError: There is none.
            Tampered: It is not what was written there.
            Temporary: The storage does not answer.
        """
        content = await self.find(path)
        if content is None:
            raise FileNotFoundError(path)
        return content

    async def find(self, path: str) -> bytes | None:
        """Read a result, or None if there is none; raises what `read_path` raises.

        A rollback goes by none that cannot be checked, that others changed, or that the storage does not give within ten seconds in all:
        what it did is done once more, which changes nothing.
        """
        try:
            stored = await as_patient_as_now(self._objects).read(path)
            return None if stored is None else reading_seal().open(path, stored)
        except (Refused, Tampered, Temporary) as error:
            if not is_rolling_back():
                raise
            _go_on_without(path, error)
            return None

    async def write_path(self, path: str, content: bytes) -> None:
        """Write a result with its seal; a rollback goes on without what cannot be stored."""
        try:
            await as_patient_as_now(self._objects).replace(path, writing_seal().close(path, content))
        except (Refused, Tampered, Temporary, OSError) as error:
            if not is_rolling_back():
                raise
            _go_on_without(path, error)


def _go_on_without(path: str, error: Exception) -> None:
    logging.getLogger("shipway").warning("the rollback goes on without the result %s: %s", path, error_text(error))


_ask, _ask_at_once, _exists = results._aget_default_result_storage, results._get_default_result_storage, ResultStore._aexists  # noqa: SLF001
_create, _result_of = ResultStore.create_result_record, states._get_state_result_data_with_retries  # noqa: SLF001
_from_metadata = ResultStore._from_metadata.__func__  # type: ignore[attr-defined]  # noqa: SLF001


async def _no_storage_of_the_server() -> None:
    """Give none, whatever the server has."""


def _no_storage_of_the_server_at_once() -> None:
    """Give none, whatever the server has."""


async def _sealed_default_storage() -> Any:
    if get_current_settings().results.default_storage_block is not None:
        return await asyncio.to_thread(_sealed_default_storage_at_once)
    found = await _ask()
    return replace(found, storage=SealedStorage.around(found.storage))


def _sealed_default_storage_at_once() -> Any:
    settings = get_current_settings()
    block = settings.results.default_storage_block
    if block is None:
        found = _ask_at_once()
        return replace(found, storage=SealedStorage.around(found.storage))
    place = (str(settings.api.url), str(block))
    sealed = _blocks.get(place) or SealedStorage.around(find_storage(str(block)))
    if not isinstance(sealed.objects, NoStorage):
        _blocks[place] = sealed
    source = results._DefaultResultStorageSource.SETTINGS  # noqa: SLF001
    return results._DefaultResultStorage(storage=sealed, source=source)  # noqa: SLF001


async def _exists_untouched(store: ResultStore, key: str) -> bool:
    """Say whether there is a result; Prefect's own way says no where it cannot be read, so that the task would run again."""
    if isinstance(store.result_storage, SealedStorage) and store.metadata_storage is None:
        return await store.result_storage.find(key) is not None
    return await _exists(store, key)


def _with_its_run(store: ResultStore, obj: Any, key: str | None = None, expiration: Any = None) -> Any:
    """Name a flow run's result after the run, so that no run's state can point at the result of another one."""
    context = FlowRunContext.get()
    if key is None and context is not None and context.flow_run is not None and TaskRunContext.get() is None:
        run = context.flow_run.id
        place = place_of(run, context.flow, context.parameters or {}) if context.flow else folder_of(run)
        key = f"{place}{uuid4()}"
    return _create(store, obj, key=key, expiration=expiration)


async def _result_of_its_run(state: Any, retry_result_failure: bool = True) -> Any:  # noqa: FBT001, FBT002 - Prefect's own signature
    """Read the result that a state names, if it is of the run that the state is of: the server says which, not the state's data."""
    run, key = state.state_details.flow_run_id, getattr(state.data, "storage_key", None) or ""
    if state.is_completed() and run and not state.state_details.task_run_id and not key.startswith(folder_of(run)):
        raise Tampered(f"the state of the run {run} names {key} as its result, which is not of that run")
    return await _result_of(state, retry_result_failure)


async def _from_sealed_metadata(cls: type[ResultStore], metadata: Any) -> Any:
    """Read the result of a run from our storage alone: the run's state, which anyone with the API can write, may name another one."""
    if metadata.storage_block_id is not None or Path(metadata.storage_key or "").is_absolute():
        raise Tampered(f"the state of a run names {metadata.storage_key} in another storage as its result: it was not written by this run")
    return await _from_metadata(cls, metadata)


results._aread_server_default_result_storage_block_id = _no_storage_of_the_server  # noqa: SLF001
results._read_server_default_result_storage_block_id = _no_storage_of_the_server_at_once  # noqa: SLF001
results._aget_default_result_storage = _sealed_default_storage  # noqa: SLF001
results._get_default_result_storage = _sealed_default_storage_at_once  # noqa: SLF001
ResultStore._aexists = _exists_untouched  # type: ignore[method-assign, assignment]  # noqa: SLF001
ResultStore._from_metadata = classmethod(_from_sealed_metadata)  # type: ignore[method-assign, assignment]  # noqa: SLF001
ResultStore.create_result_record = _with_its_run  # type: ignore[method-assign, assignment]
states._get_state_result_data_with_retries = _result_of_its_run  # noqa: SLF001
