"""What was measured of a service's quietest time: `quietest/SERVICE.kept` beside the approval key, where the API cannot write.

It also holds what the keeper measures again by: the plan, and the Prometheus that the person saw who measured first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from blocks.errors import Refused
from blocks.key_folder.kept_files import kept_names, kept_path, locked, read_kept_as, remove_kept, write_kept
from tasks.lifecycle.clock import now
from tasks.rules.plan.plan import Plan
from tasks.rules.windows.quietest import Chosen, chosen_in_words, why_unknown

FOLDER = "quietest"
WHAT = "the quietest time of a service"


class KeptQuietest(BaseModel):
    """What is kept of a service.

    Fields:
        plan: Its plan, as it was when a person measured.
        prometheus: The settings of the Prometheus block, as that person saw them, secrets in plain.
        rates: Requests a second that a verdict needs, by environment; None if none would do.
        probe_minutes: How long probes would take, by environment; None if they cannot decide.
        chosen: The window.
        tried: When it was last tried to measure.
        fault: Why that failed; "" if it did not.
        untold: What the team has still to be told: that it moved.
        telling: When that was last tried.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    plan: dict[str, Any]
    prometheus: dict[str, Any]
    rates: dict[str, float | None]
    probe_minutes: dict[str, float | None]
    chosen: Chosen
    tried: AwareDatetime
    fault: str = ""
    untold: str = ""
    telling: AwareDatetime | None = None


class Known(NamedTuple):
    """What is known of a service: what is kept, or why that cannot be read."""

    kept: KeptQuietest | None
    problem: str = ""


def measured_services() -> list[str]:
    """List the services of which something is kept here."""
    return kept_names(FOLDER)


def read_quietest(service: str) -> KeptQuietest | None:
    """Read what was measured; None if nothing was.

    Raises:
        Refused: The file was changed, or cannot be read.
    """
    return read_kept_as(FOLDER, service, KeptQuietest, what=WHAT, whose=f"{WHAT} {service}")


def keep_quietest(service: str, kept: KeptQuietest) -> None:
    """Keep what was measured.

    Raises:
        Refused: The key or its folder cannot be used.
    """
    with locked(FOLDER, service, what=WHAT):
        write_kept(FOLDER, service, kept.model_dump(mode="json"), what=WHAT)


def replace_quietest(service: str, before: KeptQuietest, after: KeptQuietest) -> bool:
    """Keep what was measured, unless another process kept something else meanwhile; says whether it did.

    Raises:
        Refused: The key or its folder cannot be used.
    """
    with locked(FOLDER, service, what=WHAT):
        if read_quietest(service) != before:
            return False
        write_kept(FOLDER, service, after.model_dump(mode="json"), what=WHAT)
        return True


def forget_quietest(service: str) -> None:
    """Forget what was measured, as its plan does not ask for it any more."""
    remove_kept(FOLDER, service)


def known_of(service: str) -> Known:
    """Read what is kept of a service, or say why it cannot be read."""
    try:
        return Known(read_quietest(service))
    except Refused as error:
        return Known(None, str(error))


def known_for(plan: Plan) -> Known:
    """Read what is kept of a plan's service, unless it was measured for other blocks: a plan may call its service by any name."""
    kept, problem = known_of(plan.service)
    named = [sorted(_blocks(one.get("production") or {})) for one in ([kept.plan] if kept else []) + [plan.model_dump(mode="json")]]
    if kept is None or named[0] == named[-1]:
        return Known(kept, problem)
    path = kept_path(FOLDER, plan.service)
    return Known(
        None, f"what {path} keeps was measured for {', '.join(named[0])}; remove it if that is not the production of {plan.service}"
    )


def _blocks(production: dict[str, Any]) -> list[str]:
    return [str(one.get("platform")) for one in production.get("targets") or [production]]


def name_of_quietest(service: str) -> str:
    """Name what is known of a service: another name means that its production opens at other times."""
    kept, problem = known_of(service)
    if kept is None:
        return problem
    chosen = kept.chosen
    return f"{chosen.asked.model_dump_json()} {chosen.minute} {why_unknown(chosen, chosen.asked, now())}"


def quietest_in_words(service: str) -> str:
    """Say what is kept of a service; "" if nothing is."""
    kept, problem = known_of(service)
    if kept is None:
        return problem
    unknown = why_unknown(kept.chosen, kept.chosen.asked, now(), fault=kept.fault)
    return f"not known: {unknown}" if unknown else chosen_in_words(kept.chosen, now(), fault=kept.fault)
