"""A YAML file as a tree of places: what stands where, by PyYAML's events, without values made of it.

Aliases stay what they are, so no file expands. Each scalar knows its characters in the text, and its number among the events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from blocks.errors import BadInput

MOST_BYTES = 500_000
MOST_DEPTH = 64
Kind = Literal["scalar", "mapping", "sequence", "alias"]
BOM = "\ufeff"


@dataclass
class Node:
    """One node.

    Fields:
        kind: What it is.
        event: Its number among the events of the file, from 0.
        start: Its first character in the text (without a byte-order mark), from 0; an anchor or a tag is part of it.
        end: The character after its last one.
        line: From 1.
        anchored: Whether it has an anchor.
        tag: Its tag, if one is written.
        style: How a scalar is written: None (plain), `'`, `"`, `|` or `>`.
        value: A scalar's text.
        pairs: A mapping's keys and values.
        items: A sequence's items.
    """

    kind: Kind
    event: int
    start: int
    end: int
    line: int
    anchored: bool = False
    tag: str | None = None
    style: str | None = None
    value: str = ""
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)


@dataclass
class File:
    """A file's text without its byte-order mark, its documents, and its events as comparable values."""

    name: str
    text: str
    has_bom: bool
    documents: list[Node]
    events: list[tuple[Any, ...]]


def read_file(name: str, content: bytes) -> File:
    """Read a file that may be edited.

    Args:
        name: Its path, for messages.
        content: Its bytes, as Git has them.

    Raises:
        BadInput: It is too large, not UTF-8, not YAML, a template, or holds a key twice.
    """
    if len(content) > MOST_BYTES:
        raise BadInput(f"the file has {len(content):,} bytes, at most {MOST_BYTES:,} are edited", field=name, fix="Split it.")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"byte {error.start} is not UTF-8", field=name, fix="Store the file as UTF-8.") from None
    has_bom, text = text.startswith(BOM), text.removeprefix(BOM)
    try:
        events: list[Any] = list(yaml.parse(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise _not_yaml(name, text, error) from None
    file = File(name, text, has_bom, _documents(name, events), [_comparable(event) for event in events])
    _refuse_templates(file, events)
    for document in file.documents:
        _refuse_duplicates(name, document)
    return file


def refused(name: str, line: int, message: str, *, fix: str) -> BadInput:
    """Name file, line, fault and fix."""
    return BadInput(message, field=f"{name}:{line}", fix=fix)


def _not_yaml(name: str, text: str, error: Exception) -> BadInput:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else 1
    if "{{" in text:
        return refused(
            name, text.count("\n", 0, text.find("{{")) + 1, "the file is a template (`{{ }}`)", fix="Name the values file that fills it."
        )
    return refused(name, line, f"this is not YAML: {getattr(error, 'problem', None) or type(error).__name__}", fix="Look at this line.")


def _comparable(event: yaml.Event) -> tuple[Any, ...]:
    fields = ("anchor", "tag", "implicit", "value", "style", "flow_style", "explicit", "version", "tags")
    return (type(event).__name__, *(getattr(event, name, None) for name in fields))


def _documents(name: str, events: list[Any]) -> list[Node]:
    documents: list[Node] = []
    place = 0
    while place < len(events):
        if isinstance(events[place], yaml.DocumentStartEvent):
            node, place = _node(name, events, place + 1, depth=0)
            documents.append(node)
        else:
            place += 1
    return documents


def _node(name: str, events: list[Any], place: int, *, depth: int) -> tuple[Node, int]:
    event: Any = events[place]
    start, end = event.start_mark, event.end_mark
    node = Node("alias", place, start.index, end.index, start.line + 1)
    if depth > MOST_DEPTH:
        raise refused(name, node.line, f"the file is deeper than {MOST_DEPTH} levels", fix="Write it flatter.")
    place += 1
    if isinstance(event, yaml.AliasEvent):
        return node, place
    node.anchored, node.tag = event.anchor is not None, event.tag
    if isinstance(event, yaml.ScalarEvent):
        node.kind, node.style, node.value = "scalar", event.style, event.value
        return node, place
    node.kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
    children: list[Node] = []
    while not isinstance(events[place], yaml.CollectionEndEvent):
        child, place = _node(name, events, place, depth=depth + 1)
        children.append(child)
    node.end = _span(events[place])[1]
    if node.kind == "mapping":
        node.pairs = list(zip(children[::2], children[1::2], strict=True))
    else:
        node.items = children
    return node, place + 1


def _span(event: Any) -> tuple[int, int]:
    return int(event.start_mark.index), int(event.end_mark.index)


def _refuse_templates(file: File, events: list[Any]) -> None:
    """Refuse `{{` outside of comment lines and of texts in quotes or blocks, which hold it as words."""
    scalars = [event for event in events if isinstance(event, yaml.ScalarEvent) and event.style in {"'", '"', "|", ">"}]
    texts = [_span(event) for event in scalars]
    found = file.text.find("{{")
    while found >= 0:
        line_start = max(file.text.rfind("\n", 0, found), file.text.rfind("\r", 0, found)) + 1
        comment = file.text[line_start:found].lstrip().startswith("#")
        if not comment and not any(start <= found < end for start, end in texts):
            line = file.text.count("\n", 0, found) + 1
            raise refused(file.name, line, "the file is a template (`{{ }}`)", fix="Name the values file that fills it.")
        found = file.text.find("{{", found + 2)


def _refuse_duplicates(name: str, node: Node) -> None:
    seen: dict[str, int] = {}
    for key, value in node.pairs:
        if key.kind == "scalar":
            if key.value in seen:
                message = f"`{key.value}` is written twice, first in line {seen[key.value]}"
                raise refused(name, key.line, message, fix="Keep one of them.")
            seen[key.value] = key.line
        _refuse_duplicates(name, key)
        _refuse_duplicates(name, value)
    for item in node.items:
        _refuse_duplicates(name, item)
