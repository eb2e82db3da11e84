"""The template of the page that documents a deployment: the plan's own file, or ours."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from blocks.errors import BadInput
from tasks.process.files import read_named
from tasks.rules.documentation.template import MAX_BYTES, faults_of
from tasks.rules.plan.documentation import Documentation

FIELD = "documentation.template"


def read_template(documentation: Documentation, folder: Path) -> str:
    """Read the template that a plan names, or ours if it names none.

    Args:
        documentation: The plan's section.
        folder: The plan's folder.

    Raises:
        BadInput: It is not there, cannot be read, or has what cannot be filled in safely; names each line and its fix.
    """
    if documentation.template is None:
        return own_template()
    path = documentation.template
    content = read_named(folder, path, field=FIELD, limit_bytes=MAX_BYTES, what="the template's file")
    if len(content) > MAX_BYTES:
        raise BadInput(f"{path} has more than {MAX_BYTES:,} bytes", field=FIELD, fix="Write a shorter one.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8", field=FIELD, fix="Save it as UTF-8.") from None
    if faults := faults_of(text):
        listed = " ".join(f"Line {one.line}: {one.wrong}. {one.fix}" for one in faults)
        raise BadInput(f"{path} cannot be filled in", field=FIELD, fix=listed)
    return text


def template_problems(documentation: Documentation, folder: Path) -> list[str]:
    """Say what is wrong with the template of a plan, for `shipway check`; empty if it can be used."""
    try:
        read_template(documentation, folder)
    except BadInput as error:
        return [str(error)]
    return []


@cache
def own_template() -> str:
    """Read our own template."""
    return (files("tasks.documentation") / "templates" / "deployment.md").read_text(encoding="utf-8")
