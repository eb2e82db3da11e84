"""Safe YAML: bounded, without tags, without implicit guesses, each value with its place in the text.

PyYAML composes the nodes; the values are made here, because its own constructor drops duplicate keys in silence and
expands aliases without end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_NUMBER_CHARACTERS = 40
PREFIX = "tag:yaml.org,2002:"
PLAIN_TAGS = {PREFIX + name for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value")}
# YAML 1.2 and JSON read these as numbers, YAML 1.1 (and so PyYAML) as text.
EXPONENT = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?[eE][+-]?\d+")
KINDS = {"int": "number", "float": "number", "bool": "yes or no", "timestamp": "date", "null": "nothing"}
Path = tuple[str | int, ...]
Place = tuple[int, int]


@dataclass(frozen=True)
class Fault:
    """Something in the text that is refused, at a place (line and column, from 1) and a path in the document."""

    place: Place
    path: Path
    message: str
    fix: str


@dataclass
class Tree:
    """A document as values, with the places of its values and keys, the words that they were written in, and its faults."""

    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    words: dict[Path, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    visited: int = 0


class _TooLargeError(Exception):
    """The document exceeds a limit; parsing stops."""


class _BoundedLoader(yaml.SafeLoader):
    """Composes at most so many nodes, at most so deep."""

    depth = 0
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Count, then compose as PyYAML does."""
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise _TooLargeError
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_tree(text: str) -> Tree:
    """Read one YAML document.

    Args:
        text: The document; its length is the caller's to bound.

    Returns:
        The tree. If it has faults, its value only serves to find more of them.
    """
    tree = Tree()
    try:
        root = _compose(text, tree)
        if root is not None:
            tree.value = _value(root, (), tree, depth=0)
    except _TooLargeError:
        message = f"the document is deeper than {MAX_DEPTH} levels or has more than {MAX_NODES:,} values, aliases counted in full"
        tree.faults = [Fault((1, 1), (), message, "Write the plan out plainly, without anchors and aliases.")]
        tree.value = None
    return tree


def _compose(text: str, tree: Tree) -> yaml.Node | None:
    try:
        loader = _BoundedLoader(text)
        root: yaml.Node | None = loader.get_single_node()
    except yaml.composer.ComposerError as error:
        several = "single document" in (error.context or "")
        fix = "Keep one document; remove the second `---`." if several else "Define an anchor (`&name`) once, before its alias (`*name`)."
        message = "the file holds more than one document" if several else str(error.problem)
        tree.faults.append(Fault(_place(error.problem_mark), (), message, fix))
        return None
    except yaml.MarkedYAMLError as error:
        message = f"this is not YAML: {error.problem}" + (f" ({error.context})" if error.context else "")
        fix = "Check the indentation, the colons and the quotes here and in the line above."
        tree.faults.append(Fault(_place(error.problem_mark or error.context_mark), (), message, fix))
        return None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # escapes beyond Unicode end in chr()
        tree.faults.append(Fault((1, 1), (), f"this is not YAML: {error}", "Use plain text without control characters."))
        return None
    return root


def _place(mark: yaml.Mark | None) -> Place:
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _value(node: yaml.Node, path: Path, tree: Tree, *, depth: int) -> Any:
    tree.visited += 1
    if depth > MAX_DEPTH or tree.visited > MAX_NODES:
        raise _TooLargeError
    tree.places[path] = place = _place(node.start_mark)
    kinds = {"map": yaml.MappingNode, "seq": yaml.SequenceNode}
    name = node.tag.removeprefix(PREFIX)
    if node.tag not in PLAIN_TAGS or not isinstance(node, kinds.get(name, yaml.ScalarNode)):
        tree.faults.append(Fault(place, path, f"the tag `{node.tag}` is refused", "Write plain text, numbers, lists and mappings."))
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, tree, depth=depth)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), tree, depth=depth + 1) for index, item in enumerate(node.value)]
    return _scalar(node, path, tree) if isinstance(node, yaml.ScalarNode) else None


def _mapping(node: yaml.MappingNode, path: Path, tree: Tree, *, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(key_node, path, tree)
        if key is None:
            continue
        here = (*path, key)
        if key in found:
            message = f"`{key}` is written twice, first in line {tree.keys[here][0]}"
            tree.faults.append(Fault(_place(key_node.start_mark), here, message, "Keep one of them."))
            continue
        tree.keys[here] = _place(key_node.start_mark)
        found[key] = _value(value_node, here, tree, depth=depth + 1)
    return found


def _key(node: yaml.Node, path: Path, tree: Tree) -> str | None:
    place = _place(node.start_mark)
    if isinstance(node, yaml.ScalarNode) and node.tag == PREFIX + "str" and not _holds_surrogates(node.value):
        return str(node.value)
    if node.tag == PREFIX + "merge":
        fault = Fault(place, path, "merge keys (`<<`) are refused", "Write the fields out, so that a reviewer sees them.")
    elif isinstance(node, yaml.ScalarNode):
        kind = KINDS.get(node.tag.removeprefix(PREFIX), "no text")
        fix = f'If it is meant as text, put it in quotes: "{node.value}".'
        fault = Fault(place, path, f"the key `{node.value}` is read as {kind} by YAML", fix)
    else:
        fault = Fault(place, path, "a key must be text", "Write `name: value`; text with braces or brackets needs quotes.")
    tree.faults.append(fault)
    return None


def _scalar(node: yaml.ScalarNode, path: Path, tree: Tree) -> Hashable:
    text, kind = str(node.value), node.tag.removeprefix(PREFIX)
    tree.words[path] = text
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in {"yes", "true", "on"}
    if kind in {"int", "float"} or (kind == "str" and node.style is None and EXPONENT.fullmatch(text)):
        return _number(node, path, tree)
    if kind == "timestamp":
        message = f"`{text}` is read as a date by YAML"
        tree.faults.append(Fault(tree.places[path], path, message, f'Put it in quotes: "{text}".'))
        return None
    if _holds_surrogates(text):
        tree.faults.append(
            Fault(tree.places[path], path, "the text holds half a character (a lone surrogate)", "Remove the `\\ud…` escape.")
        )
        return None
    return text


def _number(node: yaml.ScalarNode, path: Path, tree: Tree) -> float | None:
    text = str(node.value)
    digits = text.lstrip("+-")
    odd = ":" in text or "_" in text or digits[:2].lower() in {"0x", "0b"} or (digits[:1] == "0" and digits[1:2].isdigit())
    if not odd and len(text) <= MAX_NUMBER_CHARACTERS:
        try:
            number = int(text) if node.tag == PREFIX + "int" else float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            if node.tag != PREFIX + "str" or math.isfinite(number):
                return number
        except ValueError:
            pass
    message = f"`{text[:MAX_NUMBER_CHARACTERS]}` is read as an unusual number by YAML"
    fix = "Write a plain decimal number, or put it in quotes if text is meant."
    tree.faults.append(Fault(tree.places[path], path, message, fix))
    return None


def _holds_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
