"""The record as one document, `record.json`: a header that counts and seals the entries, then the entries; and its JSON Schema."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.rules.record.durations import durations
from tasks.rules.record.entries import FIRST, Entry, Hash, ReleaseOutcome, outcome_of, verify_chain

FORMAT: Literal["shipway-record/2"] = "shipway-record/2"
Seconds = Annotated[float, Field(ge=0)]


class Record(BaseModel):
    """The record of one release."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    format: Literal["shipway-record/2"]
    """The version of this format."""
    outcome: ReleaseOutcome
    """How the release ended; `open` if it has not."""
    entry_count: Annotated[int, Field(ge=0)]
    """How many entries there are."""
    head: Hash
    """The hash of the last entry; 64 zeros if there is none."""
    problems: list[str]
    """What is wrong with the chain, a sentence each; empty if it is intact."""
    total_seconds: float
    """From the first entry to the last."""
    work_seconds: float
    """The part of it in which Shipway worked."""
    wait_seconds: Seconds
    """The part of it in which the release waited: for people, for a window, or for another release of its service."""
    entries: list[Entry]
    """What happened, in order."""


def to_json(entries: list[Entry]) -> str:
    """Write the record as one document.

    Args:
        entries: The record in order.

    Returns:
        JSON text, the same for the same entries.
    """
    took = durations(entries)
    header = {
        "format": FORMAT, "outcome": outcome_of(entries), "entry_count": len(entries), "head": entries[-1].hash if entries else FIRST,
        "problems": verify_chain(entries), "total_seconds": took.total_seconds, "work_seconds": took.work_seconds,
        "wait_seconds": took.wait_seconds,
    }  # fmt: skip
    whole = {**header, "entries": [entry.model_dump() for entry in entries]}
    return json.dumps(whole, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def read_document(content: bytes | str) -> Record:
    """Read a document as `to_json` wrote it, and check it against the schema.

    Args:
        content: JSON text, or its bytes in UTF-8.

    Returns:
        The record; its chain is not verified here.

    Raises:
        ValueError: It is not a record of this format; names the first field that is wrong.
    """
    try:
        return Record.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ValueError(f"it is not a {FORMAT} document: {where}: {first['msg']}") from error


def schema_text() -> str:
    """Write the record's JSON Schema as it is published in docs/record.schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Record.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
