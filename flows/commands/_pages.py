"""Write a page where a person wants it."""

from __future__ import annotations

from pathlib import Path


def lies_at(output: Path) -> Path:
    """Make a path absolute; links on the way to its folder are followed, one in its own place is not."""
    named = output.expanduser()
    return named.parent.resolve() / named.name


def write_page(output: Path, page: str, *, field: str = "--output") -> None:
    """Write a page by a rename; what is not a file (a link, a device, a pipe) is neither written through nor replaced."""
    from blocks.errors import BadInput
    from tasks.record.files import replace_file

    output.parent.mkdir(parents=True, exist_ok=True)
    if output.is_symlink() or (output.exists() and not output.is_file()):
        raise BadInput(f"{output} is not a regular file", field=field, fix="Name a file that is new, or one that may be replaced.")
    replace_file(output.parent, output.name, page.encode(), mode=0o666)
