"""Flow parameters: the types that a person fills in to start a phase, with the descriptions of their forms."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from blocks.outside_text import OutsideText, as_name, as_reason
from tasks.rules.plan.types import PATTERN_WORDS, PERSON, refusing
from tasks.rules.windows.zones import in_utc

PlanPath = Annotated[
    str,
    Field(min_length=1, max_length=1_000, title="Plan", description="The plan file, as the worker sees it: /srv/guestbook/shipway.yaml"),
]
Version = Annotated[
    str,
    Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._+-]{0,127}$", title="Version", description="The version to release, as tagged: 1.4.2"),
]
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
ONE_LINE = rf"^[^{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*$"
Reason = Annotated[
    str,
    Field(
        min_length=1, max_length=500, pattern=ONE_LINE, title="Reason", description="Why, in one line, for the record and the approvers."
    ),
]
AnyReason = Annotated[
    OutsideText,
    BeforeValidator(as_reason),
    Field(title="Reason", description="Why, for the record. Any text: it is put into one line of at most 500 characters."),
]


def requester_fault(name: str) -> str | None:
    """Return why a text cannot be a requester's name, which must be like an approver's; None if it can."""
    return None if re.fullmatch(PERSON, name) else f"{name[:80]!r} is not a name that can be compared with the approvers'"


Requester = Annotated[
    str,
    refusing(requester_fault, fix=PATTERN_WORDS[PERSON]),
    Field(
        title="Requester",
        description="Your name as enrolled. You cannot approve your own release.",
        json_schema_extra={"pattern": PERSON},
    ),
]
AnyRequester = Annotated[
    OutsideText,
    BeforeValidator(as_name),
    Field(title="Requester", description="Your name, for the record. No name is refused: a rollback must not depend on it."),
]
Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
NotBefore = Annotated[
    Moment | None,
    Field(title="Not before", description="If it is scheduled: production begins at this moment or later. Else leave it empty."),
]
NotLaterThan = Annotated[
    Moment | None,
    Field(
        title="Not later than",
        description="If production has not begun by this moment, the release ends as skipped. Else leave it empty.",
    ),
]
ReleaseKind = Annotated[
    Literal["planned", "fix"],
    Field(title="Kind", description="`fix` if it repairs what an earlier deployment broke: metrics count it as rework."),
]
BecauseOf = Annotated[
    str,
    Field(
        pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$",
        title="Because of",
        description="The id of the release whose failure it fixes, which counts as failed then. Else leave it empty.",
    ),
]
EnvironmentName = Annotated[
    str,
    Field(
        pattern=r"^(staging|production(/[a-z0-9]+(-[a-z0-9]+)*)?)$",
        max_length=41,
        title="Environment",
        description="staging or production. If the plan has targets, production means all, and production/NAME one of them.",
    ),
]
WaveNames = Annotated[
    list[EnvironmentName],
    Field(max_length=100, title="Wave", description="Leave empty. A release fills it in: the targets that are released in parallel."),
]
AnyVersion = Annotated[
    str,
    Field(
        title="Version",
        description="A version; empty takes the one of the environment and the plan.",
        json_schema_extra={"pattern": r"^([0-9A-Za-z][0-9A-Za-z._+-]{0,127})?$"},  # for forms; a platform may have other version names
    ),
]
Restored = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=63)]],
    Field(
        max_length=1_000,
        title="Restored by hand",
        description="Contract migrations that the rollback would cross and that you have undone, by name. Else leave it empty.",
    ),
]
PlanAsItIs = Annotated[
    bool,
    Field(
        title="Plan as it is",
        description="If the plan file names another block or service than releases acted by, go by the file. Else leave it off.",
    ),
]
Scope = Annotated[
    str,
    Field(
        pattern=r"^([0-9a-f-]{36}(/[0-9]{1,3})?)?$",
        title="Release",
        description="Leave empty. A release fills it in for its own phases.",
    ),
]


def owner_of(scope: str) -> str:
    """Return the flow run id that a scope belongs to: a scope is that id, and in a release its round, `<id>/2`."""
    return scope.partition("/")[0]


def round_of(scope: str) -> int:
    """Return the round that a scope names; 1 if it names none."""
    return int(scope.partition("/")[2] or 1)
