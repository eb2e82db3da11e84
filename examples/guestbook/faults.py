"""Injected faults: by option, or by the version's profile in versions.json where no fault option is given."""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

PROFILES = Path(__file__).with_name("versions.json")


@dataclass(frozen=True)
class Faults:
    """What goes wrong. Errors and slowness hit `/` and `/entries`, so a bad version is caught by its traffic."""

    error_ratio: float = 0.0
    slow_ratio: float = 0.0
    slow_seconds: float = 0.4
    fault_health: bool = False
    fail_start: bool = False
    die_after: float | None = None
    report_version: str | None = None
    never_ready: bool = False
    hang_health: bool = False
    huge_health: bool = False
    redirect_health: str | None = None

    def __post_init__(self) -> None:
        """Refuse ratios and times that mean nothing."""
        for name in ("error_ratio", "slow_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                message = f"{name} is {getattr(self, name)}; give a ratio from 0 to 1"
                raise ValueError(message)
        if not (self.slow_seconds >= 0 and (self.die_after or 0) >= 0):
            message = "a time is not 0 or more; give seconds"
            raise ValueError(message)

    def describe(self) -> str:
        """List what differs from a healthy service, for the log."""
        healthy = asdict(HEALTHY)
        return ", ".join(f"{name}={value}" for name, value in asdict(self).items() if value != healthy[name]) or "none"


HEALTHY = Faults()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add one option per fault; absent ones leave no trace in the result."""
    group = parser.add_argument_group("faults", "any of these replaces the version's profile in versions.json")

    def option(name: str, text: str, **more: Any) -> None:
        group.add_argument(name, help=text, default=argparse.SUPPRESS, **more)

    option("--error-ratio", "share of answers that are 500", type=float, metavar="RATIO")
    option("--slow-ratio", "share of answers that are slow", type=float, metavar="RATIO")
    option("--slow-seconds", "how slow these are (0.4)", type=float, metavar="SECONDS")
    option("--fault-health", "errors and slowness hit /healthz too", action="store_true")
    option("--fail-start", "log an error and exit with 1 after a moment", action="store_true")
    option("--die-after", "exit with 1 after this time", type=float, metavar="SECONDS")
    option("--report-version", "what /version claims", metavar="VERSION")
    option("--never-ready", "/readyz stays 503", action="store_true")
    option("--hang-health", "/healthz never answers", action="store_true")
    option("--huge-health", "/healthz answers with 1 GB", action="store_true")
    option("--redirect-health", "/healthz redirects there", metavar="URL")


def chosen(arguments: argparse.Namespace, profiles: Path = PROFILES) -> Faults:
    """Take the explicit faults, else the version's profile, else none.

    Raises:
        ValueError: A value is out of bounds, or the profile has an unknown field.
    """
    names = {field.name for field in fields(Faults)}
    explicit = {name: value for name, value in vars(arguments).items() if name in names}
    if explicit:
        return Faults(**explicit)
    profile = json.loads(profiles.read_text(encoding="utf-8")).get(arguments.version, {})
    if unknown := set(profile) - names:
        message = f"versions.json has unknown faults for {arguments.version}: {sorted(unknown)}; known are {sorted(names)}"
        raise ValueError(message)
    return Faults(**profile)


class Injector:
    """Draws, request by request, what goes wrong.

    Args:
        fault: The faults.
        seed: The same seed draws the same faults in the order of requests; None draws anew each time.
    """

    def __init__(self, fault: Faults, *, seed: int | None) -> None:
        """Start the sequence."""
        self.fault = fault
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def draw(self) -> tuple[bool, float]:
        """Say for the next request whether it fails, and how many seconds it is delayed."""
        failing = self._random.random() < self.fault.error_ratio
        slow = self._random.random() < self.fault.slow_ratio
        return failing, self.fault.slow_seconds if slow else 0.0
