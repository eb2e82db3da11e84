"""Questions about a script that failed: how their gates are named, what is asked, and what the answers of a record allow.

A record's decision counts as it is: it is sealed, and was made of answers that were judged one by one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from tasks.rules.approval.gates import moment_text
from tasks.rules.approval.statement import OF_A_HOST, OF_A_SCRIPT
from tasks.rules.plan.targets import target_of, within
from tasks.rules.record.entries import Entry

DECISION = "decision"
MOST_CHARACTERS, DIGEST_CHARACTERS, FEW_CHARACTERS = 63, 12, 6  # of a gate's name
PLAIN = re.compile(r"[a-z0-9-]*")


def gate_name(environment: str, step: str, runs: int, *, host: str = "") -> str:
    """Name the gate: another failed run is another question, and whether its host may be left out is a part of the name.

    Args:
        environment: Where it failed.
        step: What failed, as `ScriptFailed` has it.
        runs: How often.
        host: The host that may be left out; "" if none may be.
    """
    target = target_of(environment)
    place = f"target-{target}" if target else environment
    other = "" if PLAIN.fullmatch(host) else f"-{_digest(host)[:FEW_CHARACTERS]}"  # a step names it in letters, digits and dashes alone
    name = f"{OF_A_HOST if host else OF_A_SCRIPT}{place}-{step}{other}-{runs}"
    if len(name) <= MOST_CHARACTERS:
        return name
    digest = _digest(name)[:DIGEST_CHARACTERS]
    return f"{name[: MOST_CHARACTERS - DIGEST_CHARACTERS - 1].rstrip('-')}-{digest}"


def what_is_asked(
    act: str, runs: int, environment: str, *, until: datetime, left: Sequence[str] = (), version: str = "", host: str = ""
) -> str:
    """Say what is asked about a script that failed so often, what of it still runs, and what each answer means."""
    beside = f"What it had started could not be ended, and may still run: {', '.join(left)}. " if left else ""
    times = "once" if runs == 1 else f"{runs} times"
    stays = "it stays as the script left it until a release or a rollback deploys it"
    skip = f"Skip to let the release of {version} go on without {host}; {stays}. " if host else ""
    return (
        f"{act}{within(environment)} failed {times}. {beside}Approve to run it once more; first make sure that this is safe. {skip}"
        f"Reject to roll the release back. Without an answer by {moment_text(until)} it is rolled back."
    )


def runs_allowed(entries: Iterable[Entry], environment: str) -> dict[str, int]:
    """Say what people allowed in an environment: by the name of what failed, after how many failed runs it may be run once more.

    Args:
        entries: The record of the release, all rounds.
        environment: Which one.
    """
    allowed: dict[str, int] = {}
    for entry in _decisions(entries, environment):
        said, act, runs = (entry.evidence.get(name) for name in ("may_run_again", "act", "runs"))
        if said is True and isinstance(act, str) and type(runs) is int:
            allowed[act] = max(runs, allowed.get(act, 0))
    return allowed


def hosts_left_out(entries: Iterable[Entry], environment: str) -> dict[str, str]:
    """Say which hosts of an environment people left out, each of which version.

    Args:
        entries: The record of the release, all rounds.
        environment: Which one.
    """
    skips = [entry.evidence for entry in _decisions(entries, environment) if is_skip(entry)]
    return {str(evidence["left_out"]): str(evidence["version"]) for evidence in skips}


def is_skip(entry: Entry) -> bool:
    """Say if an entry decides that a release goes on without a host."""
    host, version = entry.evidence.get("left_out"), entry.evidence.get("version")
    is_decision = entry.kind == "gate" and entry.name.startswith(OF_A_HOST) and entry.name.endswith(DECISION)
    return is_decision and isinstance(host, str) and isinstance(version, str) and bool(host and version)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _decisions(entries: Iterable[Entry], environment: str) -> list[Entry]:
    return [one for one in entries if one.kind == "gate" and one.environment == environment and one.name.startswith(OF_A_SCRIPT)]
