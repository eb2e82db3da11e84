"""PromQL templates: named placeholders, found, checked, and filled in so that a value stays inside its quotes.

Only `{version}`, `{service}`, `{environment}`, `{target}`, `{role}`, `{revision}` and `{namespace}` inside a quoted string are places;
all other braces are PromQL's. Strings are as in https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from blocks.errors import BadInput

PLACES = ("version", "service", "environment", "target", "role", "revision", "namespace")
TELLING_APART = frozenset({"version", "role", "revision"})
# A quoted string, a comment, or any one character. An open string extends to the end, and is a fault.
_TOKEN = re.compile(r"""(?s)"(?:\\.|[^"\\\n])*("?)|'(?:\\.|[^'\\\n])*('?)|`[^`]*(`?)|\#[^\n]*|.""")
# `{word}`, but for a class of characters in a regular expression: \p{Greek}.
_PLACE = re.compile(r"(?<!\\p)(?<!\\P)\{\s*([A-Za-z_]\w*)\s*\}")
_REGEX_MATCHER = re.compile(r"[=!]~\s*$")
_MATCHER = re.compile(r"[\s,]*([A-Za-z_]\w*)\s*(=~|!=|!~|=)\s*")
Fault = tuple[str, str]


class _Token(NamedTuple):
    """A piece of PromQL: its text, and whether it is a string, a comment, or neither."""

    text: str
    kind: str
    is_open: bool = False
    is_regex: bool = False


def selector_fault(selector: str) -> Fault | None:
    """Return what is wrong with label matchers, without a server.

    Args:
        selector: The text between the braces.

    Returns:
        What is wrong and what to write instead, or None.
    """
    bare = "".join(token.text for token in _tokens(selector) if token.kind == "code")
    if "#" in selector and any(token.kind == "comment" for token in _tokens(selector)):
        return "a selector cannot contain a comment", "Put the comment on a line of its own in the plan."
    wrong = expression_fault(selector)
    if wrong is None and re.search(r"[{}()\[\]]", bare):
        return "the selector has more than label matchers", 'Write what is between the braces, as `app="shop", version="{version}"`.'
    return wrong


def expression_fault(expression: str) -> Fault | None:
    """Return what is wrong with an expression's strings and places; the rest is the server's to read.

    Returns:
        What is wrong and what to write instead, or None.
    """
    wrong = quoting_fault(expression)
    if wrong is None and not places_in(expression) & TELLING_APART:
        return "canary and baseline would be counted together", 'Choose one revision, for example with `version="{version}"`.'
    return wrong


def quoting_fault(expression: str) -> Fault | None:
    """Return what is wrong with an expression's strings and places, whether or not it chooses a revision."""
    bare = ""
    for token in _tokens(expression):
        if token.is_open:
            return f"the string {token.text[:40]} is not closed", "Close it with the same quote."
        bare += token.text if token.kind == "code" else '""'
        found = _PLACE.findall(token.text) if token.kind == "string" else []
        unknown = next((name for name in found if name not in PLACES), None)
        if unknown:
            return f"`{{{unknown}}}` is not a known placeholder", f"Known are {', '.join('{' + name + '}' for name in PLACES)}."
        if found and token.text.startswith("`"):
            return f"`{{{found[0]}}}` stands in backquotes, which do not allow escapes", "Use double quotes."
    loose = _PLACE.search(bare)
    if loose:
        return f"`{loose[0]}` stands outside quotes", f'Write it in quotes, as `{loose[1]}="{{{loose[1]}}}"`.'
    return None


def places_in(expression: str) -> set[str]:
    """List the placeholders of an expression."""
    return {name for token in _tokens(expression) if token.kind == "string" for name in _PLACE.findall(token.text) if name in PLACES}


def fill(expression: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders in.

    A value is written as text of a PromQL string, and as a literal of the regular expression where the string is matched by
    `=~` or `!~`: version 1.1 does not match 101 there.

    Args:
        expression: One that has no fault.
        values: Text by placeholder; unused ones may be missing.

    Returns:
        The expression as the server takes it.

    Raises:
        BadInput: A placeholder has no value.
    """
    return "".join(_filled(token, values) if token.kind == "string" else token.text for token in _tokens(expression))


def _filled(token: _Token, values: Mapping[str, str]) -> str:
    def write(found: re.Match[str]) -> str:
        name = found[1]
        if name not in PLACES:
            return found[0]
        if not values.get(name):
            raise BadInput(f"`{{{name}}}` has no value here", field="query", fix="The platform does not report it; use {version}.")
        value = values[name]
        return escape(re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value) if token.is_regex else value)

    return _PLACE.sub(write, token.text)


def of_all_revisions(selector: str) -> str:
    """Rewrite label matchers that choose one revision so that they choose all; other placeholders stay.

    What stands for a revision matches any text; a matcher that excludes one is left out.

    Args:
        selector: One that has no fault.

    Raises:
        BadInput: It is not made of labels, operators and strings, which a server may still take.
    """
    kept: list[str] = []
    before = ""
    for token in _tokens(selector):
        if token.kind != "string":
            before += token.text
            continue
        found = _MATCHER.fullmatch(before)
        if found is None:
            fix = 'Write label, operator and value, as `job="shop"`.'
            raise BadInput(f"`{before.strip()}{token.text}` of the selector cannot be read", field="selector", fix=fix)
        (label, operator), before = found.groups(), ""
        if not {name for name in _PLACE.findall(token.text) if name in TELLING_APART}:
            kept.append(f"{label}{operator}{token.text}")
        elif operator.startswith("="):
            kept.append(f"{label}=~{_any_revision(token)}")
    return ",".join(kept)


def _any_revision(token: _Token) -> str:
    """Write a string whose revisions match any text, as a regular expression."""
    inner, parts, end = token.text[1:-1], [], 0
    for found in _PLACE.finditer(inner):
        if found[1] in TELLING_APART:
            parts += [_as_regex(inner[end : found.start()], token), ".*"]
            end = found.end()
    return f"{token.text[0]}{''.join(parts)}{_as_regex(inner[end:], token)}{token.text[0]}"


def _as_regex(text: str, token: _Token) -> str:
    """Write plain text of a string as a literal of a regular expression; escapes and placeholders of the string stay as they are."""
    return text if token.is_regex else re.sub(r"([.+*?()|\[\]^$])", r"\\\\\1", text)


def escape(value: str) -> str:
    """Write any text so that it stays one part of a PromQL string in single or double quotes.

    What is not a plain letter, digit or harmless sign is written as its bytes in UTF-8, which no quote can be made of. Half a
    character, which has no bytes, becomes a question mark.
    """
    return "".join(
        character if character.isascii() and (character.isalnum() or character in " -_./:+@~,;=()[]{}*?|^$")
        else "".join(f"\\x{byte:02x}" for byte in character.encode(errors="replace"))
        for character in value
    )  # fmt: skip


def range_query(metric: str, selector: str, *, window_seconds: int, offset_seconds: int = 0) -> str:
    """Write a range selector, which gives raw scrapes with their own timestamps.

    Args:
        metric: Name of the series.
        selector: Label matchers, filled in.
        window_seconds: How far back.
        offset_seconds: Where the window ends, back from now.
    """
    offset = f" offset {offset_seconds}s" if offset_seconds else ""
    return f"{metric}{{{selector}}}[{window_seconds}s]{offset}"


def _tokens(expression: str) -> Iterator[_Token]:
    code = ""
    for found in _TOKEN.finditer(expression):
        text = found[0]
        if text[0] in "\"'`":
            closed = len(text) > 1 and (found[1] or found[2] or found[3])
            yield _Token(code, "code")
            yield _Token(text, "string", is_open=not closed, is_regex=bool(_REGEX_MATCHER.search(code)))
            code = ""
        elif text[0] == "#":
            yield _Token(code, "code")
            yield _Token(text, "comment")
            code = ""
        else:
            code += text
    yield _Token(code, "code")
