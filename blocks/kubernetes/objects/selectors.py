"""Label selectors: what they select, and labels for pods that they must not select. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blocks.errors import BadInput

Json = dict[str, Any]
REVISION_LABEL = "shipway.dev/revision"
CANARY = "canary"
LONGEST_LABEL = 63
# These are changed first; people select dashboards and policies by the others.
CHANGED_FIRST = ("app.kubernetes.io/instance", "app", "app.kubernetes.io/name")


def matches(selector: Json, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector (`matchLabels`, `matchExpressions`) selects these labels; an empty one selects everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions") or [])


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def apart(labels: Mapping[str, str], selectors: Sequence[Json]) -> dict[str, str]:
    """Change as few labels as it takes for none of the selectors to select them; a key that several selectors share goes first.

    Args:
        labels: The labels of the stable pods.
        selectors: Those of the stable workload and of its Service, each of which selects the labels now.

    Raises:
        BadInput: A selector is empty, or only requires that labels are absent, so that it selects these pods with any labels.
    """
    new = dict(labels)
    while left := [selector for selector in selectors if matches(selector, new)]:
        keys = [key for key in _keys(left[0]) if new.get(key) == labels.get(key) and key in new]
        if not keys:
            raise BadInput(
                f"the selector {left[0]} selects every pod that could stand beside the workload's own",
                field="service",
                fix="Select the workload's pods by a label with a value, for example `app: name`",
            )
        key = min(keys, key=lambda key: (-sum(key in _keys(other) for other in left), _preference(key)))
        if any(one.get("operator") == "Exists" and one["key"] == key for one in left[0].get("matchExpressions") or []):
            del new[key]
        else:
            new[key] = renamed(new[key])
    return new


def _keys(selector: Json) -> list[str]:
    by_value = list(selector.get("matchLabels") or {})
    return by_value + [one["key"] for one in selector.get("matchExpressions") or [] if one["operator"] in {"In", "Exists"}]


def _preference(key: str) -> tuple[int, str]:
    return (CHANGED_FIRST.index(key) if key in CHANGED_FIRST else len(CHANGED_FIRST), key)


def renamed(value: str) -> str:
    """Return the canary's form of a name or a label's value, which fits into 63 characters."""
    head = value[: LONGEST_LABEL - len(CANARY) - 1].rstrip("._-")
    return f"{head}-{CANARY}" if head else CANARY


def in_words(selector: Json) -> str:
    """Write a selector as the API's `labelSelector` parameter takes it."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or []:
        key, values = one["key"], ",".join(one.get("values") or [])
        words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
        parts.append(words[one["operator"]])
    return ",".join(parts)
