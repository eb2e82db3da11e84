"""Rules of partial success: what it means that an effect was done on some hosts and not on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blocks.errors import Refused, RolloutFailed, ScriptFailed, ShipwayError, Superseded, Temporary, Unreachable
from blocks.outside_text import error_text

SHOWN = 8


def may_go_on(outcomes: Mapping[str, ShipwayError | None], *, is_forward: bool) -> bool:
    """Say whether the next batch may begin: forward only if nothing failed, back always, unless this owner may not act any more.

    Both errors of that kind are the lease's word; a host's own is an error of that host, see `Together`.
    """
    failures = [one for one in outcomes.values() if one is not None]
    return not failures if is_forward else not any(isinstance(one, Superseded | Refused) for one in failures)


def error_of(
    outcomes: Mapping[str, ShipwayError | None], hosts: Sequence[str], *, what: str, is_forward: bool, of: int = 0
) -> ShipwayError | None:
    """Give the error that an effect on hosts ends with, None if it was done on all of them.

    Who may not act any more is told so. A script that failed is for the plan or people to decide, going forward. A rollback that failed
    anywhere for good has failed; what may pass on all hosts that are left is tried again. A host whose script failed may be left out if
    another one has the effect, or has yet to get it: else nothing would be judged.

    Args:
        outcomes: By host how it ended, of those where it was begun.
        hosts: All that it was for, in the order in which it was to be done.
        what: The effect, for people: `deploy 1.1`.
        is_forward: Whether it moves a release forward.
        of: How many hosts the environment has.
    """
    failed = {host: error for host in hosts if (error := outcomes.get(host)) is not None}
    if not failed and all(host in outcomes for host in hosts):
        return None
    for error in failed.values():
        if isinstance(error, Superseded | Refused):
            return error
    message = in_words(outcomes, hosts, what=what)
    evidence = tuple(line for error in failed.values() if isinstance(error, RolloutFailed) for line in error.evidence)
    for host, error in failed.items():
        if is_forward and isinstance(error, ScriptFailed):
            return ScriptFailed(
                message, evidence=evidence, act=error.act, step=error.step, runs=error.runs, lines=error.lines, left=error.left,
                host=host if len(hosts) > 1 else "", hosts=of,
            )  # fmt: skip
    lasting = [one for one in failed.values() if not isinstance(one, Temporary)]
    is_done_somewhere = any(error is None for error in outcomes.values())
    if lasting and is_forward and not is_done_somewhere and not isinstance(lasting[0], RolloutFailed):
        return lasting[0]  # nothing moved: as bad input, which names its field
    if lasting:
        return RolloutFailed(message, evidence=evidence)
    passing = [one for one in failed.values() if isinstance(one, Temporary)]
    delay = max((one.delay_seconds for one in passing), default=1.0)
    kind = Unreachable if any(isinstance(one, Unreachable) for one in passing) else Temporary
    return kind(message, delay_seconds=delay)


def in_words(outcomes: Mapping[str, ShipwayError | None], hosts: Sequence[str], *, what: str) -> str:
    """Say on which hosts it is done, failed and was not begun: `deploy 1.1: done on 1 of 3 hosts (web-1); …`."""
    done = [host for host in hosts if host in outcomes and outcomes[host] is None]
    failed = [(host, error) for host in hosts if (error := outcomes.get(host)) is not None]
    left = [host for host in hosts if host not in outcomes]
    parts = [f"done on {len(done)} of {len(hosts)} hosts{f' ({_named(done)})' if done else ''}"]
    parts += [f"failed on {host}: {error_text(error)}" for host, error in failed[:SHOWN]]
    parts += [f"failed on {_named([host for host, _ in failed[SHOWN:]])}, too"] if failed[SHOWN:] else []
    parts += [f"not begun on {_named(left)}"] if left else []
    return f"{what}: {'; '.join(parts)}"


def _named(hosts: Sequence[str]) -> str:
    more = len(hosts) - SHOWN
    return ", ".join(hosts[:SHOWN]) + (f" and {more} more" if more > 0 else "")
