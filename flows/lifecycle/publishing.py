"""What is published when a run has ended: its record, and the page that documents it; nothing of this changes how it ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

from blocks.outside_text import error_text
from flows.lifecycle.context import Phase
from tasks.documentation.commit import commit_page, repository_of_pages
from tasks.documentation.page import Documented, document, publish_page
from tasks.record.expected import publish_end
from tasks.record.journal import say
from tasks.record.report import publish_record
from tasks.rules.plan.documentation import Documentation
from tasks.rules.record.markdown import plain

COMMIT_SECONDS = 60  # the service is locked meanwhile


async def publish(phase: Phase | None, run: str, *, service: str) -> None:
    """Publish record and page; a storage, server or repository that cannot take them holds no service up.

    Args:
        phase: The release; None if it never had a readable plan.
        run: Its flow run id.
        service: Its service.
    """
    try:
        await publish_record(run, service=service)
    except Exception as error:  # noqa: BLE001 - the entries are safe, and `shipway report` makes the page again
        say(f"the record could not be published: {error_text(error)}; `shipway report {run}` makes it again")
    try:
        await publish_end(run, service=service)
    except Exception as error:  # noqa: BLE001 - as above, and it is only shown
        say(f"that this release is over could not be published: {error_text(error)}")
    try:
        await _document(phase, run, service=service)
    except Exception as error:  # noqa: BLE001 - as above
        say(f"the page that documents this deployment could not be made: {error_text(error)}")


async def _document(phase: Phase | None, run: str, *, service: str) -> None:
    """Make the page, commit it if the plan says where, and publish it with what became of that."""
    plan = Documentation() if phase is None else phase.plan.documentation
    page = await document(run, plan, folder=None if phase is None else Path(phase.folder))
    notes = [f"The plan's template was not used: {page.fault}"] if page.fault else []
    if plan.git is not None and page.is_deployment:
        notes.append(await _commit(page, plan.git, folder=plan.folder, run=run, service=service))
    for note in notes:
        say(f"the page that documents this deployment: {note}")
    await publish_page("\n\n".join([page.artifact.rstrip(), *map(plain, notes)]) + "\n", service=service)


async def _commit(page: Documented, block: str, *, folder: str, run: str, service: str) -> str:
    """Commit the page; says where it is, or why it is not."""
    files = {f"{folder}/{name}": content for name, content in page.files.items()}
    try:
        async with asyncio.timeout(COMMIT_SECONDS):
            git = await repository_of_pages(block, service=service)
            commit = await commit_page(git, files, run=run, subject=f"Document {service} {page.name}")
    except TimeoutError:
        return f"It is not known whether it is committed to {block}: that was not over within {COMMIT_SECONDS} s. Look at the branch"
    except Exception as error:  # noqa: BLE001 - whatever it is, the run ended as it did
        return f"It is not committed to {block}: {error_text(error)}"
    return f"Committed to {block} as {folder}/{page.name}.md, commit {commit[:12]}"
