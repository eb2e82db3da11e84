"""Validation jobs: a table to validate with great-expectations, and its result."""

from __future__ import annotations

import html
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

Plain = dict[str, Any]
SHORTEST_SECRET = 4  # a shorter one would mask parts of ordinary words, and so be read off them


@dataclass(frozen=True)
class Job:
    """One table and its suite.

    Fields:
        name: Unique among the release's pages.
        title: For people.
        timeout_seconds: The time-out of its validation.
        source: Where the rows are, see `tasks.data.expectations_process`; an address is a SecretStr.
        suite: `expectations`, as great-expectations writes them.
        show_values: Whether values of the data may be shown.
        finding: Its result, if it is not to be validated any more.
    """

    name: str
    title: str
    timeout_seconds: float
    source: Plain = field(default_factory=dict)
    suite: Plain = field(default_factory=dict)
    show_values: bool = False
    finding: Plain | None = None

    def over(self, source: Plain, suite: Plain, *, show: bool) -> Self:
        """Return which rows are validated by which suite; missing files are no data."""
        for kind in ("csv", "parquet"):
            if source.get(kind) == []:
                return self.ended("no_data", "the file does not exist")
        return replace(self, source=source, suite=suite, show_values=show)

    def ended(self, outcome: str, reason: str, **more: Any) -> Self:
        """Return how it ended."""
        return replace(self, finding={"outcome": outcome, "reason": reason, **more})

    def found(self) -> Plain:
        """Return the finding; nothing found is an error."""
        said = self.finding or {"outcome": "error", "reason": "it was not validated"}
        return {"rows": None, "expectations": 0, "failed": [], "docs": "", **said}

    def plain(self) -> Plain:
        """Write the job for the process that runs it; only here an address is in plain text."""
        source = {key: value.get_secret_value() if isinstance(value, SecretStr) else value for key, value in self.source.items()}
        told = {"name": self.name, "title": self.title, "timeout_seconds": self.timeout_seconds, "show_values": self.show_values}
        return {**told, "source": source, "suite": self.suite}

    def secrets(self) -> list[str]:
        """List the job's secrets."""
        url = self.source.get("url")
        return secrets_in_url(url.get_secret_value()) if isinstance(url, SecretStr) else []


def secrets_in_url(url: str) -> list[str]:
    """List the secrets of a database's address: the whole, what stands before the host, passwords and tokens.

    Args:
        url: A SQLAlchemy address, or "".

    Returns:
        The texts, also as HTML and without percent signs; those under four characters are left out.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]
    held = parts.netloc.rpartition("@")[0]
    named = [part.partition("=")[2] for part in parts.query.split("&") if any(word in part.lower() for word in ("pass", "token", "secret"))]
    texts = [url, held, held.partition(":")[2], *named]
    forms = [form for text in texts for form in (text, unquote(text), html.escape(text), html.escape(unquote(text)))]
    return [form for form in dict.fromkeys(forms) if len(form) >= SHORTEST_SECRET]
