"""Make the page that documents a deployment from its record: beside it, and as an artifact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task

from blocks.errors import BadInput
from blocks.outside_text import error_text
from tasks.documentation.template import own_template, read_template
from tasks.lifecycle.retries import OBSERVE
from tasks.record.artifacts import artifact_key, publish_markdown
from tasks.record.objects import objects_of
from tasks.record.reading import folder_of, read_record
from tasks.record.storage import default_storage
from tasks.rules.documentation.page import MOST_PICTURES, is_deployment, name_of, write_page
from tasks.rules.plan.documentation import Documentation
from tasks.rules.record.markdown import embedded, pictures_of, plain

PAGE = "deployment"


@dataclass(frozen=True)
class Documented:
    """A page that was made.

    Fields:
        name: Its name in a repository, without `.md`.
        files: What is committed: names beside one another, and contents.
        artifact: The page with its pictures in it.
        is_deployment: Whether the run deployed or rolled something back.
        fault: Why ours was taken instead of the plan's template; "" if it was not.
    """

    name: str
    files: dict[str, bytes]
    artifact: str
    is_deployment: bool
    fault: str = ""


async def document(run: str, documentation: Documentation, *, folder: Path | None, storage: Any = None) -> Documented:
    """Make the page of a run, and write it beside its record as `deployment.md` with its pictures; again gives the same.

    Args:
        run: Its id.
        documentation: The plan's section.
        folder: The plan's folder; None takes our template.
        storage: As `publish_record` takes it.
    """
    objects, place = objects_of(storage or await default_storage()), folder_of(run)
    reading = await read_record(objects, run)
    entries, problems = reading.entries, reading.problems_at_end
    template, fault = _template(documentation, folder)
    pictures = pictures_of(entries)

    def page(shown: list[str]) -> str:
        return write_page(template, entries, run=run, problems=problems, pictures=shown)

    beside, name = _files(page, pictures, PAGE), name_of(entries, run)
    for file, content in beside.items():
        await objects.replace(f"{place}/{file}", content)
    return Documented(name, _files(page, pictures, name), page(embedded(pictures)), is_deployment(entries), fault)


@task(name="publish documentation", task_run_name="publish the page that documents it", **OBSERVE)
async def publish_page(markdown: str, *, service: str) -> str:
    """Publish the page as the artifact `deployment-<service>`; the same page gives no second one. Gives its key."""
    key = artifact_key("deployment", service)
    await publish_markdown(markdown, key=key, description=f"How the last deployment of {service} went")
    return key


def _template(documentation: Documentation, folder: Path | None) -> tuple[str, str]:
    """Give the template, and why it is ours if the plan names another one: a page is made whatever became of that file."""
    try:
        return (own_template() if folder is None else read_template(documentation, folder)), ""
    except BadInput as error:
        return own_template(), error_text(error)


def _files(page: Any, pictures: list[tuple[str, str]], name: str) -> dict[str, bytes]:
    """Write the page with its pictures as files beside it, which forges show; they show none that a page carries."""
    svgs = {f"{name}-{number}.svg": svg.encode() for number, (_, svg) in enumerate(pictures[:MOST_PICTURES], start=1)}
    shown = [f"![{plain(words)}]({file})" for (words, _), file in zip(pictures, svgs, strict=False)]
    return {f"{name}.md": page(shown).encode(), **svgs}
