"""What others deployed by hand in the place of the version that was deployed last, or what that version says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

P = TypeVar("P", bound=Mapping[str, Any])


def as_replaced(position: P, *, to: str, bad: str) -> P:
    """Give a position in which what seems to run instead of the baseline is the baseline, and that the version before, if it is so named.

    Only a name decides: the baseline may be the bad version, and say another name of itself.

    Args:
        position: What an environment runs: `baseline`, `canary`, `previous`, and perhaps what runs `instead`.
        to: The version to return to, or `previous`, or "".
        bad: The version to get rid of; "" if none was named.
    """
    other, baseline = position.get("instead"), position["baseline"]
    if not other or (bad != other and not (to == baseline and not bad)):
        return position
    found: Any = {**position, "baseline": other, "previous": baseline}
    return found  # type: ignore[no-any-return]


def fault_of_replaced(position: Mapping[str, Any], *, environment: str) -> str:
    """Say why a rollback that names no version needs one: what runs is not what was deployed last; "" if it can do without.

    If what runs has the name of the version before, both ways lead to that one.
    """
    other, baseline, previous = position.get("instead"), position["baseline"], position["previous"]
    if not other or other == previous:
        return ""
    older = f"If {baseline} is bad, `--bad {baseline}` returns to {previous}; if" if previous else "If"
    return (
        f"{environment} seems to run {other}, but {baseline} was deployed there last: others replaced it, or it says another name of "
        f"itself. {older} {other} is another version that is bad, `--bad {other}` (the field `bad`) returns to {baseline}"
    )
