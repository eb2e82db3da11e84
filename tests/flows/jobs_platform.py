"""A local platform that also runs Jobs, as far as a flow can see: it writes down what it was asked to run, and fails where told to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from blocks.errors import BadInput, RolloutFailed, WorldMoved
from blocks.local.platform import LocalPlatform
from blocks.platform import Lease, Preview
from tests.flows.harness import Stage


class JobsPlatform(LocalPlatform):
    """Runs versions as processes, and Jobs as lines in `jobs.jsonl`."""

    _block_type_name = "Local platform with jobs, for tests"
    _block_type_slug = "local-with-jobs"

    failing: list[str] = Field(default_factory=list)
    refusing: list[str] = Field(default_factory=list)
    conflict: str = ""

    @property
    def _file(self) -> Path:
        return Path(self.folder) / "jobs.jsonl"

    def ran(self) -> list[dict[str, Any]]:
        """Give what was asked for, with what served then."""
        return [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []

    async def run_job(self, manifest: dict[str, Any], lease: Lease, *, name: str, timeout_seconds: float) -> list[str]:
        """Write down what would run, beside what serves."""
        if name in self.refusing:
            message = f"no Job {name} here"
            raise BadInput(message, field="migrations", fix="Fix it.")
        position = await self.current()
        image = manifest["spec"]["template"]["spec"]["containers"][0]["image"]
        said = {"name": name, "image": image, "baseline": position["baseline"], "canary": position["canary"], "owner": lease["owner"]}
        with self._file.open("a") as file:
            file.write(json.dumps({**said, "timeout": timeout_seconds}) + "\n")
        if name in self.failing:
            message = f"the Job {name} failed"
            raise RolloutFailed(message, evidence=("table entries: no such column",))
        return [f"{name} is done"]

    async def preview(self, version: str) -> Preview:
        """Say what would change, or that another owns it."""
        if self.conflict:
            raise WorldMoved(self.conflict)
        return Preview(changes=[f"process: version: 1.0 → {version}"], drift=["process: replicas: 1 → 2 (by someone)"])


class JobsStage(Stage):
    """A stage whose environments run Jobs; flows run in this process."""

    def platform(self, environment: str, **fields: Any) -> Any:
        """Give an environment's platform."""
        plain = super().platform(environment)
        return JobsPlatform(**{name: getattr(plain, name) for name in type(plain).model_fields}, **fields)

    async def set_up(self, environment: str, **fields: Any) -> None:
        """Save an environment's block with other fields, and forget its Jobs."""
        platform = self.platform(environment, **fields)
        platform._file.unlink(missing_ok=True)
        await platform.save(f"{self.name}-{environment}", overwrite=True)

    def jobs(self, environment: str) -> list[dict[str, Any]]:
        """Give what an environment was asked to run."""
        found: list[dict[str, Any]] = self.platform(environment).ran()
        return found
