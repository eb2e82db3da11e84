"""What an order makes of the desired state of a local environment: state in, new state out, or an error and nothing.

The state points at its baseline and its canary by revision id. A revision that nothing points at is on its way out:
the agent drains it, stops it and forgets it. So every order is one replacement of the state, whole.
"""

from __future__ import annotations

import copy
from typing import cast

from blocks.errors import Refused, Superseded, WorldMoved
from blocks.local.state.file import Revision, Specification, State
from blocks.platform import Lease


def check_lease(state: State, lease: Lease) -> None:
    """Let only the newest owner act.

    Raises:
        Superseded: A newer lease was taken.
        Refused: The environment has no owner, or another one, under this generation.
    """
    if lease["generation"] < state["generation"]:
        raise Superseded(
            f"the lease of {state['service']} is at generation {state['generation']}, held by {state['owner'] or 'no one'}; "
            f"generation {lease['generation']} of {lease['owner']} may not act any more. Stop, and start a new release if one is wanted"
        )
    if state["owner"] != lease["owner"] or lease["generation"] != state["generation"]:
        raise Refused(
            f"{state['service']} is owned by {state['owner'] or 'no one'}, not by {lease['owner']} (generation {lease['generation']}). "
            "Acquire the lease before acting"
        )


def acquire_lease(state: State, owner: str, *, takeover: bool) -> State:
    """Make `owner` the owner under the next generation.

    Raises:
        Refused: Another owner holds the environment and `takeover` is not set.
    """
    if state["owner"] not in (None, owner) and not takeover:
        raise Refused(
            f"{state['service']} is owned by {state['owner']} (generation {state['generation']}). "
            "Wait until that run ends, cancel it, or roll back, which takes the environment over"
        )
    new = copy.deepcopy(state)
    new["owner"], new["generation"], new["rollback"] = owner, state["generation"] + 1, takeover
    return new


def release_lease(state: State, lease: Lease) -> State:
    """Leave the environment without an owner, if this lease still owns it."""
    new = copy.deepcopy(state)
    if (state["owner"], state["generation"]) == (lease["owner"], lease["generation"]):
        new["owner"], new["rollback"] = None, False
    return new


def prepare(state: State, lease: Lease, version: str, *, specification: Specification | None) -> State:
    """Make `version` the canary at 0 %.

    A canary that is there already and runs alike is kept; any other one goes. Where `version` is the baseline, there is nothing to
    bring in: the state is then left without a canary.

    Args:
        state: The state before.
        lease: The lease.
        version: What to run.
        specification: How it is run; None runs it as the baseline is run, whose settings are the newest that a release brought.

    Raises:
        WorldMoved: It is to run as the baseline is run, and there is none.
    """
    check_lease(state, lease)
    new = copy.deepcopy(state)
    new["percent"] = 0
    baseline, canary = _revision(state, state["baseline"]), _revision(state, state["canary"])
    if specification is None and baseline is None:
        raise WorldMoved(f"{state['service']} has no baseline whose settings {version} could run with. Release it instead")
    specification = specification or copy.deepcopy(cast("Revision", baseline)["specification"])
    if baseline and baseline["version"] == version:
        new["canary"] = None
    elif not (canary and canary["version"] == version and canary["specification"] == specification and not canary["failed"]):
        key = str(state["next_id"])
        new["canary"], new["next_id"] = key, state["next_id"] + 1
        new["revisions"][key] = Revision(
            version=version, specification=specification, port=0, pid=None, born=None, served=False, failed=None
        )
    return new


def shift(state: State, lease: Lease, percent: int) -> State:
    """Set the canary's share of new requests.

    Raises:
        WorldMoved: There is no canary to give a share of the traffic to.
    """
    check_lease(state, lease)
    if state["canary"] is None and percent > 0:
        raise WorldMoved(f"{state['service']} has no canary to send {percent} % to. Prepare a version first")
    new = copy.deepcopy(state)
    new["percent"] = percent
    return new


def promote(state: State, lease: Lease) -> State:
    """Make the canary the baseline; the old baseline becomes `previous` and is stopped, but what a rollback takes away never does."""
    check_lease(state, lease)
    new = copy.deepcopy(state)
    canary, before = _revision(state, state["canary"]), _revision(state, state["baseline"])
    if canary is None:
        return new
    if not state["rollback"]:
        new["previous"] = before["version"] if before else state["previous"]
    elif state["previous"] == canary["version"]:
        new["previous"] = None
    new["baseline"], new["canary"], new["percent"] = state["canary"], None, 0
    return new


def abort(state: State, lease: Lease) -> State:
    """Send everything to the baseline and let the canary go."""
    check_lease(state, lease)
    new = copy.deepcopy(state)
    new["canary"], new["percent"] = None, 0
    return new


def _revision(state: State, revision_id: str | None) -> Revision | None:
    return None if revision_id is None else state["revisions"][revision_id]
