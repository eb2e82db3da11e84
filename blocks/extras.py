"""Extras: the heavy parts of Shipway that an installation may leave out, and what says so when they are needed."""

from __future__ import annotations

from importlib.util import find_spec

from blocks.errors import BadInput

EXTRAS = {
    "data": ("great_expectations", "pandas", "psycopg", "pyarrow", "sqlalchemy"),
    "otlp": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", "requests"),
    "kubernetes": ("kubernetes", "prefect_kubernetes", "urllib3"),
}
"""By the name of an extra in pyproject.toml: the modules that it brings."""


def require(extra: str, *, field: str, otherwise: str = "") -> None:
    """See that an extra is installed; nothing of it is imported.

    Args:
        extra: Its name.
        field: What needs it, as the person knows it.
        otherwise: What to write instead, if there is something; a sentence.

    Raises:
        BadInput: A module of it is missing; names the extra.
    """
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if missing:
        fix = f"Install it: pip install 'shipway[{extra}]'. {otherwise}".strip()
        raise BadInput(f"this needs the extra `{extra}` of Shipway, and {', '.join(missing)} cannot be found", field=field, fix=fix)
