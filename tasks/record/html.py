"""The templates of pages: self-contained HTML with one stylesheet, light and dark; everything that is filled in is escaped."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined


def pages() -> Environment:
    """Give the environment in which pages are written; a name that is not filled in is an error."""
    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_source)
    )  # fmt: skip


def _source(name: str) -> str:
    return (files("tasks.record") / "templates" / name).read_text(encoding="utf-8")
