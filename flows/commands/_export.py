"""What an incident review gets of a run: its record as it is stored, and what else is known of it, without secrets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # these cost time that `shipway --help` does not have
    from tasks.record.reading import Reading
    from tasks.rules.record.entries import Entry

MOST_LINES = 200_000
SUMS = "SHA256SUMS"


@dataclass
class Export:
    """Files by their path in the folder, and what is not among them, a sentence each."""

    run: str
    files: dict[str, bytes] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def add(self, path: str, text: str) -> None:
        """Add a file of text, without the secrets that this process holds."""
        from blocks.outside_text import said

        self.files[path] = said(text, limit=len(text) + 1, lines=True).encode("utf-8", "replace")

    def add_json(self, path: str, value: Any) -> None:
        """Add a file of JSON; its texts are freed of secrets before they are written as JSON, which spells them otherwise."""
        from flows.commands._output import as_text

        self.files[path] = (json.dumps(_said_in(value), indent=2, ensure_ascii=False, default=as_text) + "\n").encode("utf-8", "replace")

    def hashes(self) -> dict[str, str]:
        """Give the SHA-256 of each file by its path, in their order."""
        return {path: hashlib.sha256(content).hexdigest() for path, content in sorted(self.files.items())}


async def gather(storage: Any, run: str, reading: Reading) -> Export:
    """Gather what is known of a run.

    Args:
        storage: Where its record is.
        run: Its flow run id.
        reading: The record.
    """
    from tasks.rules.rollout.why import why_lines

    export = Export(run)
    await _learn_secrets(export)
    told = why_lines(run, reading.entries, problems=reading.problems, unchecked=reading.unchecked)
    export.add("why.txt", "".join(f"{line.name:<10} {line.text}\n" for line in told))
    await _add_record(export, storage, reading)
    await _add_page(export, storage, reading)
    export.add_json("checks.json", [_check(entry) for entry in _checks(reading.entries)])
    export.add("changes.txt", "".join(f"{line}\n" for line in _changes(reading.entries)))
    _add_messages(export)
    await _add_logs(export)
    if export.missing:
        export.add("MISSING.txt", "".join(f"{line}\n" for line in export.missing))
    return export


async def _learn_secrets(export: Export) -> None:
    """Learn what the server keeps secret, before any text is added."""
    from blocks.outside_text import error_text
    from tasks.lifecycle.server import server
    from tasks.record.held_secrets import learn_all

    try:
        async with server() as client:
            await learn_all(client)
    except Exception as error:  # noqa: BLE001 - whatever the server answers, the folder is written
        export.missing.append(
            f"secrets: those of the server's blocks are not known, and were not looked for in any file: {error_text(error)}"
        )


async def _add_record(export: Export, storage: Any, reading: Reading) -> None:
    """Add the record in the layout of a storage, so that `shipway report --storage FOLDER` verifies the copy."""
    from blocks.errors import Tampered
    from tasks.record.objects import objects_of
    from tasks.record.page import render_page
    from tasks.record.reading import contents_of, folder_of
    from tasks.rules.record.document import to_json
    from tasks.rules.record.view import rows_of

    objects, folder = objects_of(storage), folder_of(export.run)
    for place, content in (await contents_of(objects, folder, unread=export.missing)).items():
        if isinstance(content, Tampered):
            export.missing.append(f"entry {place} of the record: {content}")
        else:
            export.files[f"{folder}/{place:05d}.json"] = content
    export.files[f"{folder}/record.json"] = to_json(reading.entries).encode()  # as its hashes say
    export.add(f"{folder}/record.html", render_page(reading.entries, problems=reading.problems))
    for name in dict.fromkeys(row.docs for row in rows_of(reading.entries) if row.docs):
        page = await objects.read(f"{folder}/data/{name}")
        if page is None:
            export.missing.append(f"data/{name}: this page of Data Docs is no longer in the storage")
        else:
            export.files[f"{folder}/data/{name}"] = page


async def _add_page(export: Export, storage: Any, reading: Reading) -> None:
    """Add the page that documents the deployment, with its pictures, as it was written when the run ended."""
    from blocks.errors import Tampered, Temporary
    from tasks.record.objects import objects_of
    from tasks.record.reading import folder_of
    from tasks.rules.documentation.page import MOST_PICTURES
    from tasks.rules.record.entries import outcome_of
    from tasks.rules.record.markdown import pictures_of

    objects, folder = objects_of(storage), folder_of(export.run)
    pictures = [f"deployment-{number}.svg" for number, _ in enumerate(pictures_of(reading.entries)[:MOST_PICTURES], start=1)]
    for name in ["deployment.md", *pictures]:
        try:
            found = await objects.read(f"{folder}/{name}")
        except (Tampered, Temporary) as error:
            export.missing.append(f"{name}: {error}")
            continue
        if found is not None:
            export.add(f"{folder}/{name}", found.decode("utf-8", "replace"))
        elif outcome_of(reading.entries) != "open":
            export.missing.append(f"{name}: the page that documents the run is not whole in the storage")


def _checks(entries: Sequence[Entry]) -> Iterator[Entry]:
    from tasks.rules.record.view import CHECKS

    yield from (entry for entry in entries if entry.kind in {*CHECKS, "verdict", "samples"})


def _check(entry: Entry) -> dict[str, Any]:
    from tasks.rules.record.view import result_of

    fields = {name: getattr(entry, name) for name in ("seq", "at", "kind", "environment", "step", "name", "what", "why")}
    return {**fields, "result": result_of(entry), "evidence": entry.evidence}


def _changes(entries: Sequence[Entry]) -> Iterator[str]:
    """Write what the version changes: its commits, and how each platform would change, as it was reviewed."""
    from tasks.rules.record.entries import select
    from tasks.rules.record.view import summary_of
    from tasks.rules.rollout.preview import preview_lines

    found = summary_of(list(entries))
    for title, commits in (("Commits, the newest first", found.commits), ("Taken away", found.taken_back)):
        if commits:
            yield f"{title}:"
            yield from (f"  {one.hash}  {one.author}: {one.subject}" for one in commits)
    for review in select(entries, kind="review"):
        previews = review.evidence.get("previews")
        if isinstance(previews, Mapping) and (lines := preview_lines(previews)):
            yield f"Rendered changes, as reviewed in round {review.round}:"
            yield from (f"  {line}" for line in lines)
    for entry in entries:
        if entry.kind == "note" and entry.why:
            yield f"{entry.what}: {entry.why}"


def _add_messages(export: Export) -> None:
    from tasks.notify.outbox import messages_of

    found = messages_of(export.run)
    export.add_json("messages.json", [{**asdict(one.content), "at": one.at, "deliveries": _deliveries(one)} for one in found])


def _deliveries(message: Any) -> dict[str, Any]:
    return {name: delivery.to_json() for name, delivery in message.deliveries.items()}


async def _add_logs(export: Export) -> None:
    from blocks.errors import ShipwayError
    from blocks.outside_text import error_text

    try:
        export.add("logs.txt", "".join([line async for line in _log_lines(export)]))
    except Exception as error:  # noqa: BLE001 - no server, or it does not give them: the rest of the folder is written
        export.missing.append(f"logs.txt: {error if isinstance(error, ShipwayError) else error_text(error)}")


async def _log_lines(export: Export) -> AsyncIterator[str]:
    import logging
    from datetime import UTC

    from blocks.outside_text import said
    from tasks.lifecycle.find_run import find_run
    from tasks.lifecycle.run_logs import family_of, read_lines
    from tasks.lifecycle.server import server

    async with server() as client:
        names, number = await family_of(client, await find_run(client, export.run)), 0
        async for line in read_lines(client, names):
            number += 1
            if number > MOST_LINES:
                export.missing.append(f"logs.txt: what was logged after the first {MOST_LINES:,} lines")
                return
            place = names.get(line.flow_run_id, "") if line.flow_run_id else ""
            at = f"{line.timestamp.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
            yield f"{at} {logging.getLevelName(line.level):<8} {place}: {said(line.message, limit=len(line.message) + 1, lines=True)}\n"


def _said_in(value: Any) -> Any:
    """Free each text of a value of secrets, names of members included."""
    from blocks.outside_text import said

    if isinstance(value, str):
        return said(value, limit=len(value) + 1, lines=True)
    if isinstance(value, Mapping):
        return {said(name): _said_in(member) for name, member in value.items()}
    return [_said_in(one) for one in value] if isinstance(value, list | tuple) else value
