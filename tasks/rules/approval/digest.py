"""Digest of an approval: one hash over plan, version, changes, running versions, platforms, policies, edits in Git, and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.rules.evidence.change_log import ChangeLog
from tasks.rules.plan.plan import Plan
from tasks.rules.policy.policy import Policy
from tasks.rules.record.canonical import fingerprint


def digest(
    plan: Plan,
    version: str,
    change_log: ChangeLog,
    current: Mapping[str, str | None],
    platforms: Mapping[str, str],
    manifests: Mapping[str, Any] | None = None,
    policies: Sequence[Policy] = (),
    edits: Mapping[str, Sequence[str]] | None = None,
    files: Mapping[str, str] | None = None,
) -> str:
    """Hash what an approval is for.

    Args:
        plan: The plan.
        version: The version under release.
        change_log: The changes of the release.
        current: The running version, by environment; None without one.
        platforms: The fingerprint of the platform's settings, by environment, and of the Prometheus block's: the plan only names them.
        manifests: The Jobs of the plan's migrations, by name: the plan only names them, too.
        policies: The policies that protect the plan's platform blocks. Their windows are left out: they say when, not what.
        edits: The values that would be set in Git, with what stands there, by environment.
        files: The hashes of the files that decide and that the plan only names, by name.

    Returns:
        64 hexadecimal digits; another value of any of these gives another digest.
    """
    whole = {"change_log": change_log, "current": dict(current), "plan": plan, "platforms": dict(platforms), "version": version}
    kept = [policy.model_dump(mode="json", exclude={"windows"}) for policy in policies]
    more = {"manifests": dict(manifests or {}), "policies": kept, "edits": dict(edits or {}), "files": dict(files or {})}
    return fingerprint(whole | {name: value for name, value in more.items() if value})
