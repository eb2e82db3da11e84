"""Probe source: SLIs by requests of our own, at each reading one to each revision, past the traffic split."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from blocks.errors import Permanent, Temporary
from blocks.platform import Platform, source_version
from tasks.rules.analysis.observation import Count, Role, Seen, slower_than
from tasks.rules.plan.judgement import ProbeSli
from tasks.verification.http_check import Asker


@dataclass
class ProbeSource:
    """The probing SLIs of one watch; counts are lost with the process, unless they are saved as JSON.

    Fields:
        asker: An open client with the secrets that the probes name.
        platform: Returns the revisions' addresses.
        slis: What is probed.
        versions: The version of each revision.
        counts: What was counted, by SLI and revision.
        faults: What was wrong with the last answer, by SLI and revision; "" if nothing was.
    """

    asker: Asker
    platform: Platform
    slis: list[ProbeSli]
    versions: Mapping[Role, str]
    counts: dict[tuple[str, Role], Count] = field(default_factory=dict)
    faults: dict[tuple[str, Role], str] = field(default_factory=dict)

    async def read(self) -> dict[str, Seen]:
        """Probe every revision once for every SLI, in parallel."""
        try:
            targets = await self._targets()
        except Temporary as error:
            return {sli.name: Seen(silence=str(error)) for sli in self.slis}
        except Permanent as error:
            return {sli.name: Seen(error=f"{sli.name} cannot be probed: {error}") for sli in self.slis}
        await asyncio.gather(*(self._probe(sli, role, target) for sli in self.slis for role, target in targets.items()))
        return {sli.name: self.seen(sli) for sli in self.slis}

    def beginning(self) -> dict[str, Seen]:
        """Return the counts at the start of a step's watch: none, since every probe belongs to this step."""
        return {sli.name: Seen(dict.fromkeys(self.versions, Count(0, 0))) for sli in self.slis}

    def seen(self, sli: ProbeSli) -> Seen:
        """Return the counts so far."""
        what = "failed" if sli.threshold_seconds is None else slower_than(sli.threshold_seconds, sli.threshold_seconds)
        return Seen({role: self.counts.get((sli.name, role), Count(0, 0)) for role in self.versions}, what)

    def remembered(self) -> dict[str, dict[str, list[int]]]:
        """Return the counts as JSON: bad and all by SLI and revision."""
        found: dict[str, dict[str, list[int]]] = {}
        for (name, role), count in self.counts.items():
            found.setdefault(name, {})[role] = [count.bad, count.total]
        return found

    def go_on_from(self, remembered: Mapping[str, Mapping[Role, list[int]]]) -> None:
        """Restore the counts."""
        for sli in self.slis:
            self.counts |= {(sli.name, role): Count(count[0], count[1]) for role, count in remembered.get(sli.name, {}).items()}

    async def _probe(self, sli: ProbeSli, role: Role, target: str) -> None:
        patience, version = sli.threshold_seconds or sli.timeout_seconds, source_version(self.versions[role])
        # The answer may have any length here: only a health check has to be short.
        found = await self.asker.check(sli, target, version=version, timeout_seconds=patience, any_length=True)
        key = sli.name, role
        self.faults[key] = found.fault
        before = self.counts.get(key, Count(0, 0))
        self.counts[key] = Count(before.bad + bool(self.faults[key]), before.total + 1)

    async def _targets(self) -> dict[Role, str]:
        position, found = await asyncio.gather(self.platform.current(), self.platform.endpoints())
        targets: dict[Role, str] = {}
        for role, version in self.versions.items():
            # After a restart past the promotion the version under release is the baseline.
            target = found.get("canary") if position["canary"] == version else None
            target = found.get("baseline") if position["baseline"] == version else target
            if not target:
                raise Temporary(f"the platform reports no address of the {role} {version}, so it cannot be probed")
            targets[role] = target
        return targets
