"""What is observed after deployments, by what is kept on this machine."""

from __future__ import annotations

from typing import Any


def observed() -> list[dict[str, Any]]:
    """List what is looked at again, until when, and what the last look found; of a file that cannot be read, why."""
    from blocks.errors import Refused
    from tasks.lifecycle.observed import observed_services, read_observed

    found = list[dict[str, Any]]()
    for name in observed_services():
        try:
            one = read_observed(name)
        except Refused as error:
            found.append({"service": name, "what": f"{name} cannot be read: {error}"})
            continue
        if one is not None and not one.ended:
            service = one.taken.parsed().service
            facts = one.model_dump(include={"release", "version", "since", "until", "due", "looked", "outcome", "why", "looks", "passed"})
            found.append({"service": service, **facts, "what": one.in_words(service)})
    return found
