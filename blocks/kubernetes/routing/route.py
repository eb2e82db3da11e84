"""Weights of an HTTPRoute: which share of the requests goes to the Service of the canary. Values in, values out."""

from __future__ import annotations

import copy
import json
from typing import Any

from blocks.errors import BadInput, WorldMoved

Json = dict[str, Any]
WEIGHT = "shipway.dev/weight"
EVERYTHING = 100


def share_of(route: Json, *, stable: str, canary: str) -> int:
    """Say which share of the requests the canary's Service gets, in percent; 0 where no rule names it.

    Raises:
        WorldMoved: The rules do not agree: somebody has edited them.
    """
    shares = set()
    for rule in _rules(route, stable):
        ours = {ref["name"]: int(ref.get("weight", 1)) for ref in rule["backendRefs"] if ref["name"] in {stable, canary}}
        total = sum(ours.values())
        shares.add(round(EVERYTHING * ours.get(canary, 0) / total) if total else 0)
    if len(shares) > 1:
        title = route["metadata"]["name"]
        raise WorldMoved(f"the rules of the HTTPRoute {title} give {canary} different shares ({_in_words(shares)}); make them equal")
    return shares.pop() if shares else 0


def with_share(route: Json, percent: int, *, stable: str, canary: str) -> list[Json]:
    """Write the rules with another share for the canary, whose reference is added where it is missing.

    Args:
        route: The HTTPRoute as it is.
        percent: 0 to 100.
        stable: The Service of the baseline.
        canary: The Service of the canary.

    Raises:
        BadInput: No rule sends requests to the stable Service, or one sends them to another one, too.
    """
    rules = copy.deepcopy(route["spec"].get("rules") or [])
    for rule in _rules({**route, "spec": {"rules": rules}}, stable):
        refs = rule["backendRefs"]
        _expect_only(refs, route, stable=stable, canary=canary)
        former = next(ref for ref in refs if ref["name"] == stable)
        beside = next((ref for ref in refs if ref["name"] == canary), None)
        if beside is None:
            beside = {**copy.deepcopy(former), "name": canary}
            refs.append(beside)
        former["weight"], beside["weight"] = EVERYTHING - percent, percent
    return list(rules)


def without_canary(route: Json, *, stable: str, canary: str) -> list[Json]:
    """Write the rules without the canary's reference, the stable one with the weight that it had before."""
    rules = copy.deepcopy(route["spec"].get("rules") or [])
    before = weights_before(route)
    for index, rule in enumerate(rules):
        refs = rule.get("backendRefs") or []
        kept = [ref for ref in refs if ref["name"] != canary]
        if len(kept) < len(refs):
            for ref in kept:
                if ref["name"] == stable:
                    ref["weight"] = before.get(str(index), 1)
            rule["backendRefs"] = kept
    return list(rules)


def names(route: Json, service: str) -> bool:
    """Say whether any rule names a Service."""
    return any(ref["name"] == service for rule in route["spec"].get("rules") or [] for ref in rule.get("backendRefs") or [])


def weights_of(route: Json, *, stable: str) -> str:
    """Write the stable Service's weights by rule, to be remembered on the route while a canary is beside it."""
    found = {
        str(index): int(ref.get("weight", 1))
        for index, rule in enumerate(route["spec"].get("rules") or [])
        for ref in rule.get("backendRefs") or []
        if ref["name"] == stable
    }
    return json.dumps(found, sort_keys=True)


def weights_before(route: Json) -> dict[str, int]:
    """Read the weights that were remembered; none where nothing readable is there."""
    try:
        found = json.loads((route["metadata"].get("annotations") or {}).get(WEIGHT, "{}"))
        return {str(index): max(1, int(weight)) for index, weight in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def faults_of(route: Json, *, stale: bool = False) -> list[str] | None:
    """Say what the gateways find wrong with the route as it is now; None where one of them has not looked at it yet.

    Args:
        route: The HTTPRoute.
        stale: True takes what they said of it last, also where that was before its newest change.
    """
    every = _conditions(route)
    generation = 0 if stale else route["metadata"].get("generation", 0)
    if not every or any(
        "Accepted" not in one or any(int(said.get("observedGeneration", generation)) < generation for said in one.values()) for one in every
    ):
        return [] if stale else None
    return [fault for one in every for fault in _faults_in(one)]


def is_taken_by_any(route: Json) -> bool:
    """Say whether any gateway finds nothing wrong with the route."""
    return any(not _faults_in(one) for one in _conditions(route))


def port_to(route: Json, service: str) -> int | None:
    """Name the port at which the route reaches a Service; None where it does not, or names none."""
    refs = [ref for rule in route["spec"].get("rules") or [] for ref in rule.get("backendRefs") or [] if ref["name"] == service]
    return next((int(ref["port"]) for ref in refs if ref.get("port")), None)


def _conditions(route: Json) -> list[dict[str, Json]]:
    """Give the conditions of each parent that the route still names; what others said of it is of no account any more."""
    wanted = [_parent(ref, route) for ref in route["spec"].get("parentRefs") or []]
    parents = (route.get("status") or {}).get("parents") or []
    return [
        {said["type"]: said for said in one.get("conditions") or []}
        for one in parents
        if "parentRef" not in one or _parent(one["parentRef"], route) in wanted
    ]


def _parent(ref: Json, route: Json) -> tuple[str, str, str, str]:
    return (
        str(ref.get("namespace") or route["metadata"].get("namespace", "")),
        str(ref["name"]),
        str(ref.get("sectionName") or ""),
        str(ref.get("port") or ""),
    )


def _faults_in(conditions: dict[str, Json]) -> list[str]:
    return [
        f"{kind} is {one['status']}: {one.get('reason', '')} {one.get('message', '')}".strip()
        for kind in ("Accepted", "ResolvedRefs")
        if (one := conditions.get(kind)) is not None and one["status"] != "True"
    ]


def _rules(route: Json, stable: str) -> list[Json]:
    """Give the rules that send requests to the stable Service."""
    found = [rule for rule in route["spec"].get("rules") or [] if any(ref["name"] == stable for ref in rule.get("backendRefs") or [])]
    if not found:
        title = route["metadata"]["name"]
        fix = f"Let a rule of it send requests to {stable}, or name the Service that it sends them to in the block's field `service`"
        raise BadInput(f"the HTTPRoute {title} sends nothing to the Service {stable}", field="route", fix=fix)
    return found


def _expect_only(refs: list[Json], route: Json, *, stable: str, canary: str) -> None:
    others = sorted({ref["name"] for ref in refs} - {stable, canary})
    if others:
        title = route["metadata"]["name"]
        wrong = f"a rule of the HTTPRoute {title} sends requests to {', '.join(others)} beside {stable}"
        raise BadInput(wrong, field="route", fix="Shipway sets the weights of a rule; give it one with a single backend")


def _in_words(shares: set[int]) -> str:
    return ", ".join(f"{share} %" for share in sorted(shares))
