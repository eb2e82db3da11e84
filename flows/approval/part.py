"""A part of a release's record: the entries of one question among several, which carry its name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Unpack

from flows.lifecycle.context import EntryFields, Phase
from tasks.rules.record.entries import Entry, Kind


@dataclass(frozen=True)
class Part(Phase):
    """A release whose entries are those of one question among several: they carry its name."""

    of: Phase
    part: str

    async def append(self, what: str, *, kind: Kind, **more: Unpack[EntryFields]) -> Entry:
        """Append an entry of this question."""
        more["name"] = f"{self.part} {more.get('name', '')}"
        return await self.of.append(what, kind=kind, **more)

    async def read(self, kind: Kind, *, environment: str = "", step: int | None = None, name: str = "") -> Entry | None:
        """Read an entry of this question."""
        return await self.of.read(kind, environment=environment, step=step, name=f"{self.part} {name}")


def part_of(phase: Phase, name: str) -> Part:
    """Give a phase whose entries carry a name."""
    return Part(**{one.name: getattr(phase, one.name) for one in fields(Phase)}, of=phase, part=name)
