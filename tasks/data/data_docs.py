"""Data Docs: the page of a validation, in a frame of our own, which loads nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module  # late, and without types: the import takes seconds
from pathlib import Path
from typing import Any


def page_of(results: Any, *, title: str, told: dict[str, Any], release: str) -> str:
    """Render Data Docs' page of a validation; texts of the data and of the suite cannot become HTML."""
    templates = str(Path(__file__).with_name("templates"))
    view = import_module("great_expectations.render.view").DefaultJinjaPageView(custom_views_directory=templates)
    for result in results.results:
        _make_harmless(result)
    named = import_module("great_expectations.core.run_identifier").RunIdentifier
    now = datetime.now(UTC)
    results.meta["run_id"] = named(run_name=html.escape(f"release {release}"), run_time=now)
    told = {**told, "at": f"{now:%Y-%m-%d %H:%M:%S} UTC"}
    document = import_module("great_expectations.render.renderer").ValidationResultsPageRenderer().render(results)
    return str(view.render(document, template="expectations.html.j2", shipway_title=title, shipway=told))


def _make_harmless(result: Any) -> None:
    """Escape what comes from the data and from the suite: Data Docs writes texts as HTML."""
    config = result.expectation_config
    result.result, result.exception_info = _escaped(result.result), _escaped(result.exception_info)
    for name in ("kwargs", "meta", "notes", "description"):
        setattr(config, name, _escaped(getattr(config, name, None)))


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, Mapping):
        return {_escaped(key): _escaped(one) for key, one in value.items()}
    return [_escaped(one) for one in value] if isinstance(value, list | tuple) else value
