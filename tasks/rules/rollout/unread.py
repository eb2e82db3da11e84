"""What becomes of a rollback on demand if some of its environments cannot be read: one keeps no other from being rolled back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from blocks.errors import Permanent, Refused, ShipwayError, Superseded, Temporary

P = TypeVar("P", bound=Mapping[str, Any])


def answers_of(answers: Mapping[str, P | BaseException]) -> tuple[dict[str, P], BaseException | None]:
    """Give what those environments run that could be read, and what ends the attempt instead, if anything does.

    An environment that cannot be read, for whatever reason, is left out as long as another one can be rolled back; its own rollback says
    what keeps it from that. If none can, an attempt that may help comes before an error that stays;
    that a platform refuses to be read does not refuse the request, see `ends_releases`.

    Args:
        answers: What each environment runs, `baseline` and `canary`, or the error.
    """
    found = {name: one for name, one in answers.items() if not isinstance(one, BaseException)}
    errors = [one for one in answers.values() if isinstance(one, BaseException)]
    for error in errors:
        if not isinstance(error, ShipwayError) or isinstance(error, Superseded):
            return found, error
    temporary = next((error for error in errors if isinstance(error, Temporary)), None)
    if found and (temporary or any(one["canary"] or one["baseline"] for one in found.values())):
        return found, None
    fault = temporary or next(iter(errors), None)
    return found, Permanent(str(fault)) if isinstance(fault, Refused) else fault


def ends_releases(error: BaseException) -> bool:
    """Say whether releases under way must stop although an error ends their rollback before it acts: all but what refuses the request."""
    return isinstance(error, ShipwayError) and not isinstance(error, (Refused, Superseded))
