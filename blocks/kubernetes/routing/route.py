"""HTTPRoute weights: which share of the requests goes to the canary's Service. Values in, values out."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any, NamedTuple

from blocks.errors import BadInput, WorldMoved

Json = dict[str, Any]
WEIGHT = "shipway.dev/weight"
EVERYTHING = 100
MOST_WEIGHT = 1_000_000  # of a backend, by the Gateway API
KEY_LENGTH = 12


def share_of(route: Json, *, stable: str, canary: str) -> int:
    """Return which share of the requests the canary's Service gets, in percent; 0 if no rule names it.

    Raises:
        WorldMoved: The rules do not agree: they were edited.
    """
    shares = set()
    for rule in _rules(route, stable):
        weights = {name: sum(_weight(ref) for ref in _refs_to(rule, name, route)) for name in (stable, canary)}
        total = sum(weights.values())
        shares.add(round(EVERYTHING * weights[canary] / total) if total else 0)
    if len(shares) > 1:
        title = route["metadata"]["name"]
        raise WorldMoved(f"the rules of the HTTPRoute {title} give {canary} different shares ({_in_words(shares)}); make them equal")
    return shares.pop() if shares else 0


def leads_to(route: Json, service: str) -> bool:
    """Return whether a rule sends requests to a Service of the route's namespace."""
    return any(_refs_to(rule, service, route) for rule in route["spec"].get("rules") or [])


def with_share(route: Json, percent: int, *, stable: str, canary: str) -> list[Json]:
    """Write the rules with another share for the canary, whose reference is added if it is missing.

    Rules that do not name the stable Service are their owner's, those included that send requests to the canary by a header.

    Args:
        route: The HTTPRoute as it is.
        percent: 0 to 100.
        stable: The Service of the baseline.
        canary: The Service of the canary.

    Raises:
        BadInput: No rule sends requests to the stable Service, or one sends them to another backend, too.
    """
    rules = copy.deepcopy(route["spec"].get("rules") or [])
    for rule in _rules({**route, "spec": {"rules": rules}}, stable):
        refs = rule["backendRefs"]
        _expect_only(refs, route, stable=stable, canary=canary)
        baseline = _refs_to(rule, stable, route)[0]
        beside = next(iter(_refs_to(rule, canary, route)), None)
        if beside is None:
            beside = {**copy.deepcopy(baseline), "name": canary}
            refs.append(beside)
        baseline["weight"], beside["weight"] = EVERYTHING - percent, percent
    return list(rules)


def without_canary(route: Json, *, stable: str, canary: str) -> list[Json]:
    """Write the rules as before the canary: without the references that were added, with their previous weights.

    The annotation on the route records which these are. A rule that was edited since is identified by its backend beside the canary.
    """
    rules = copy.deepcopy(route["spec"].get("rules") or [])
    before, keys = remembered(route), _keys(rules)
    edited = bool(before.keys() - set(keys))
    for key, rule in zip(keys, rules, strict=True):
        refs = rule.get("backendRefs") or []
        then = before.get(key) or (Before(stable=1, canary=None) if edited and len(refs) > 1 else None)
        if then is None:
            continue
        ours = _refs_to(rule, stable, route)
        others = len(refs) - len(ours) - len(_refs_to(rule, canary, route))
        if then.stable == 0 and not others:  # nothing would serve: its owner did not write that
            then = Before(stable=1, canary=None if then.canary is None else 0)
        for ref in ours:
            ref["weight"] = then.stable
        for ref in _refs_to(rule, canary, route):
            if then.canary is None:
                refs.remove(ref)
            else:
                ref["weight"] = then.canary
    return list(rules)


def names(route: Json, service: str) -> bool:
    """Return whether any rule names a Service of the route's namespace."""
    return any(_refs_to(rule, service, route) for rule in route["spec"].get("rules") or [])


class Before(NamedTuple):
    """Weights of the two Services in a rule before the canary; None if it did not name the canary's."""

    stable: int
    canary: int | None


def to_remember(route: Json, *, stable: str, canary: str) -> str:
    """Write the weights of both Services, to be kept on the route during a canary; what is kept already stays."""
    rules, known = route["spec"].get("rules") or [], remembered(route)
    for key, rule in zip(_keys(rules), rules, strict=True):
        ours, theirs = _refs_to(rule, stable, route), _refs_to(rule, canary, route)
        if ours and key not in known:
            known[key] = Before(_weight(ours[0]), _weight(theirs[0]) if theirs else None)
    return json.dumps(known, sort_keys=True)


def remembered(route: Json) -> dict[str, Before]:
    """Read the weights kept on the route, by rule; empty if none can be read."""
    try:
        found = json.loads((route["metadata"].get("annotations") or {}).get(WEIGHT, "{}"))
        kept = {str(key): Before(int(stable), None if canary is None else int(canary)) for key, (stable, canary) in found.items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
    return {key: one for key, one in kept.items() if 0 <= one.stable <= MOST_WEIGHT and 0 <= (one.canary or 0) <= MOST_WEIGHT}


def faults_of(route: Json, *, stale: bool = False) -> list[str] | None:
    """Return the gateways' faults of the route as it is now; None if one of them has not observed it yet.

    Args:
        route: The HTTPRoute.
        stale: True takes their last conditions, also from before the newest change.
    """
    every = _conditions(route)
    generation = 0 if stale else route["metadata"].get("generation", 0)
    if not every or any(
        "Accepted" not in one or any(int(said.get("observedGeneration", generation)) < generation for said in one.values()) for one in every
    ):
        return [] if stale else None
    return [fault for one in every for fault in _faults_in(one)]


def is_taken_by_any(route: Json) -> bool:
    """Return whether any gateway finds nothing wrong with the route."""
    return any(not _faults_in(one) for one in _conditions(route))


def port_to(route: Json, service: str) -> int | None:
    """Return the port at which the route reaches a Service; None if it does not, or names none."""
    refs = [ref for rule in route["spec"].get("rules") or [] for ref in _refs_to(rule, service, route)]
    return next((int(ref["port"]) for ref in refs if ref.get("port")), None)


def _conditions(route: Json) -> list[dict[str, Json]]:
    """Return the conditions of each parent that the route still names; those of other parents do not count any more."""
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


def _refs_to(rule: Json, service: str, route: Json) -> list[Json]:
    """Return a rule's references to a Service of the route's namespace; in another namespace, or of another kind, it is another backend."""
    return [ref for ref in rule.get("backendRefs") or [] if _backend(ref, route) == service]


def _backend(ref: Json, route: Json) -> str:
    """Name what a reference leads to: a Service of the route's own namespace by its name alone."""
    own = str(route["metadata"].get("namespace", ""))
    kind, group, namespace = ref.get("kind") or "Service", ref.get("group") or "", ref.get("namespace") or own
    if (kind, group, namespace) == ("Service", "", own):
        return str(ref["name"])
    return f"{namespace}/{ref['name']}" if (kind, group) == ("Service", "") else f"the {kind} {namespace}/{ref['name']}"


def _weight(ref: Json) -> int:
    return int(ref.get("weight", 1))


def _keys(rules: list[Json]) -> list[str]:
    """Name each rule by all that it says but its backends, so that it is found again if rules before it are added or removed."""
    keys: list[str] = []
    for rule in rules:
        rest = json.dumps({name: value for name, value in rule.items() if name != "backendRefs"}, sort_keys=True)
        key = hashlib.sha256(rest.encode()).hexdigest()[:KEY_LENGTH]
        keys.append(f"{key}.{sum(one.startswith(key) for one in keys)}")
    return keys


def _rules(route: Json, stable: str) -> list[Json]:
    """Return the rules that send requests to the stable Service."""
    found = [rule for rule in route["spec"].get("rules") or [] if _refs_to(rule, stable, route)]
    if not found:
        title = route["metadata"]["name"]
        fix = f"Let a rule of it send requests to {stable}, or name the Service that it sends them to in the block's field `service`"
        raise BadInput(f"the HTTPRoute {title} sends nothing to the Service {stable}", field="route", fix=fix)
    return found


def _expect_only(refs: list[Json], route: Json, *, stable: str, canary: str) -> None:
    title, backends = route["metadata"]["name"], [_backend(ref, route) for ref in refs]
    others = sorted(set(backends) - {stable, canary})
    if others:
        wrong = f"a rule of the HTTPRoute {title} sends requests to {', '.join(others)} beside {stable}"
        raise BadInput(wrong, field="route", fix="Shipway sets the weights of a rule; give it one with a single backend")
    twice = next((name for name in (stable, canary) if backends.count(name) > 1), "")
    if twice:
        ports = " and ".join(str(ref.get("port", "none")) for ref in refs if _backend(ref, route) == twice)
        wrong = f"a rule of the HTTPRoute {title} names {twice} more than once, with the ports {ports}"
        raise BadInput(wrong, field="route", fix="Shipway sets the weights of a rule; let it name each Service once")


def _in_words(shares: set[int]) -> str:
    return ", ".join(f"{share} %" for share in sorted(shares))
