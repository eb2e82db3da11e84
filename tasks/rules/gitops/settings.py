"""What a GitOps block says about its edits, as edits of a version: checked by their words, before anything is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from blocks.errors import BadInput
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.message import check_path
from tasks.rules.gitops.targets import ApplicationRevision, KustomizeImage, Target, Where, YamlPath, parse_path
from tasks.rules.policy.owners import FILE

VERSION = "{version}"
ANY = "1.0.0"  # for what does not depend on the version


class EditFields(Protocol):
    """An edit as a block has it; see `blocks/gitops/gitops.py` for what each field means."""

    @property
    def file(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def image(self) -> str: ...  # noqa: D102
    @property
    def field(self) -> str: ...  # noqa: D102
    @property
    def target_revision(self) -> bool: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def resource(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> str: ...  # noqa: D102


def edits_of(fields: Sequence[EditFields], version: str) -> tuple[Edit, ...]:
    """Write the edits of a version.

    Args:
        fields: The block's `edits`.
        version: The version.

    Raises:
        BadInput: A file or a path is wrong; names `edits[N]` and the fix.
    """
    found: list[Edit] = []
    for number, one in enumerate(fields):
        try:
            check_path(one.file)
            target = _target_of(one)
        except BadInput as error:
            raise BadInput(error.wrong, field=f"edits[{number}].{error.field}", fix=error.fix) from None
        found.append(Edit(one.file, target, one.value.replace(VERSION, version)))
    return tuple(found)


def places_named(remote: str, branch: str, edits: Sequence[Edit]) -> dict[str, str]:
    """Give an identity to each value that a block edits, and to each file, by words for people.

    Another way to write a path is the same value. Files count for the sections: staging, which is deployed before people are asked, sets
    nothing in a file of production, since another value of it may be production's, too.

    Args:
        remote: The repository, as `plain_remote` writes it.
        branch: The branch.
        edits: The block's edits, of any version.
    """
    values = {f"{one.file} {one.target} in {remote}": f"git {remote} {branch} {one.file} {_steps_to(one.target)}" for one in edits}
    return values | {f"{FILE}{one.file} in {remote}": f"git file {remote} {branch} {one.file}" for one in edits}


def _steps_to(target: Target) -> str:
    if isinstance(target, KustomizeImage):
        return repr(("", ("images", Where(("name",), target.name), target.field)))
    if isinstance(target, ApplicationRevision):
        return repr((target.resource or "", ("targetRevision", target.source)))
    return repr((target.resource or "", parse_path(target.path)))


def expecting(edits: Sequence[Edit], values: Sequence[str]) -> tuple[Edit, ...]:
    """Let each edit expect the value that was read at its place when it was reviewed."""
    return tuple(replace(one, expected=value) for one, value in zip(edits, values, strict=True))


def _target_of(one: EditFields) -> Target:
    if one.target_revision:
        source = int(one.source) if one.source.isdecimal() else one.source or None
        return ApplicationRevision(source, one.resource or None)
    if one.image:
        return KustomizeImage(one.image, "newName" if one.field == "newName" else "newTag")
    parse_path(one.path)
    return YamlPath(one.path, one.resource or None)
