"""Paths that a plan may name: inside its own folder, whatever they are spelled like."""

from __future__ import annotations

from pathlib import PurePath

from blocks.errors import BadInput


def path_fault(path: str) -> str | None:
    """Return why a path may lead out of its folder, or None where it cannot (links aside)."""
    if not path.strip():
        return "the path is empty"
    if "\\" in path or any(ord(character) < 32 or ord(character) == 127 for character in path):  # noqa: PLR2004 - ASCII controls
        return f"{path!r} holds backslashes or control characters"
    if path.startswith(("/", "~", "-")):
        return f"`{path}` is not relative to the plan's folder"
    depth = 0
    for part in PurePath(path).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return f"`{path}` leads out of the plan's folder"
    return None


def inside(root: PurePath, path: str) -> PurePath:
    """Join a path from the plan to its folder, lexically; links are checked when files are opened.

    Args:
        root: The plan's folder.
        path: Relative path with slashes.

    Returns:
        The joined path, `..` resolved.

    Raises:
        BadInput: The path is absolute or leads out.
    """
    fault = path_fault(path)
    if fault is not None:
        raise BadInput(fault, field="path", fix="Name a file beside or below the plan, as `reports/junit.xml`.")
    kept: list[str] = []
    for part in PurePath(path).parts:
        if part == "..":
            kept.pop()
        else:
            kept.append(part)
    return root.joinpath(*kept)
