"""Versions and reasons of a release, and version ranges."""

from __future__ import annotations

import re
import unicodedata

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from blocks.errors import BadInput

VERSION_PATTERN = r"^[0-9A-Za-z][0-9A-Za-z._+-]{0,127}$"
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def has_controls(text: str) -> bool:
    """Return whether a text holds characters that could change how a terminal or a page shows the rest."""
    return any(unicodedata.category(character) in UNPRINTABLE or character in BIDI_CONTROLS for character in text)


def version_fault(text: str) -> str | None:
    """Return why a text is not a version, or None if it is one."""
    if not text:
        return "the version is empty"
    if len(text) > 128:  # noqa: PLR2004 - the length of a tag in a registry
        return f"the version has {len(text)} characters, more than 128"
    if has_controls(text):
        return "the version holds control characters"
    if not re.fullmatch(VERSION_PATTERN[1:-1], text):
        return f"{text!r} is not a version"
    if ".." in text:  # Git and paths read two dots as a range or a parent folder
        return f"{text!r} holds `..`"
    return None


def check_version(text: str) -> str:
    """Check that a version is safe for Git, a platform and a file name.

    Args:
        text: The version as a person wrote it.

    Returns:
        The same text.

    Raises:
        BadInput: It is empty, longer than 128 characters, or holds spaces, shell or control characters.
    """
    fault = version_fault(text)
    if fault is not None:
        fix = "Write letters, digits and . _ + - (first a letter or digit), as `1.4.2`."
        raise BadInput(fault, field="version", fix=fix)
    return text


def specifier_fault(text: str) -> str | None:
    """Return why a text is not a version range, or None if it is one."""
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return f"{text!r} is not a version range"
    return None


def in_range(version: str, specifier: str) -> bool:
    """Return whether a version lies in a range, pre-releases included if their number fits.

    Args:
        version: What runs, as `2.4.1` or `v2.4.1`.
        specifier: The range in the form of PEP 440, as `>=2.1,<3`.

    Returns:
        True if it fits.

    Raises:
        BadInput: One of the two cannot be read.
    """
    fault = specifier_fault(specifier)
    if fault is not None:
        raise BadInput(fault, field="specifier", fix="Write it as `>=2.1,<3`.")
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except InvalidVersion:
        message = f"{version[:80]!r} cannot be ordered as a version"
        raise BadInput(
            message, field="version", fix="A range needs versions as `2.4.1`; leave the range out to check health alone."
        ) from None
