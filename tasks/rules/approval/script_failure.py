"""Questions about a script that failed: how their gates are named, what is asked, and what the answers of a record allow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from tasks.rules.approval.gates import moment_text
from tasks.rules.plan.targets import target_of, within
from tasks.rules.record.entries import Entry

OF_A_SCRIPT = "script-"  # how the names of these gates begin
DECISION = "decision"


def gate_name(environment: str, step: str, runs: int) -> str:
    """Name the gate: another failed run is another question.

    Args:
        environment: Where it failed.
        step: What failed, as `ScriptFailed` has it.
        runs: How often.
    """
    target = target_of(environment)
    return f"{OF_A_SCRIPT}{f'target-{target}' if target else environment}-{step}-{runs}"


def what_is_asked(act: str, runs: int, environment: str, *, until: datetime, left: Sequence[str] = ()) -> str:
    """Say what is asked about a script that failed so often, what of it still runs, and what each answer means."""
    beside = f"What it had started could not be ended, and may still run: {', '.join(left)}. " if left else ""
    times = "once" if runs == 1 else f"{runs} times"
    return (
        f"{act}{within(environment)} failed {times}. {beside}Approve to run it once more; first make sure that this is safe. "
        f"Reject to roll the release back. Without an answer by {moment_text(until)} it is rolled back."
    )


def runs_allowed(entries: Iterable[Entry], environment: str) -> dict[str, int]:
    """Say what people allowed in an environment: by the name of what failed, after how many failed runs it may be run once more.

    Args:
        entries: The record of the release, all rounds.
        environment: Which one.
    """
    allowed: dict[str, int] = {}
    for entry in entries:
        said, act, runs = (entry.evidence.get(name) for name in ("may_run_again", "act", "runs"))
        is_ours = entry.kind == "gate" and entry.environment == environment and entry.name.startswith(OF_A_SCRIPT)
        if is_ours and said is True and isinstance(act, str) and type(runs) is int:
            allowed[act] = max(runs, allowed.get(act, 0))
    return allowed
