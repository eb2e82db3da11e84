"""Credentials: where a plan sends the value of a credential block, and whether the bounds of the block allow that.

Whoever writes a plan needs no password. So the block says which services may name it and where its value may go, and the plan only asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from tasks.rules.plan.data import Moment, environment_at
from tasks.rules.plan.http import ROUTING, HttpRequest
from tasks.rules.plan.judgement import ProbeSli
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import STAGING, place_of, places_of, section_of
from tasks.rules.plan.windows import CalendarWindow
from tasks.rules.windows.address import is_credential

ORIGIN = re.compile(r"(https?)://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:[/?].*)?", re.DOTALL)
PORTS = {"https": 443, "http": 80}
FORWARDED_HOST = re.compile(r"host=\"?([^\";,\s]*)", re.IGNORECASE)  # RFC 7239


class Origin(NamedTuple):
    """A scheme, host and port, as in RFC 6454."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Write it as people do, without the scheme's own port."""
        return f"{self.scheme}://{self.host}{'' if PORTS[self.scheme] == self.port else f':{self.port}'}"


def origin_of(url: str) -> Origin | None:
    """Return the origin of an address; None if it is not written so plainly that every reader finds the same host in it."""
    found = ORIGIN.fullmatch(url)
    return Origin(found[1], found[2].lower(), int(found[3] or PORTS[found[1]])) if found else None


def is_listed(origin: Origin, hosts: Sequence[str]) -> bool:
    """Return whether a list of hosts has an origin: the same scheme, host and port; `*.` stands for one label, as in certificates.

    Args:
        origin: Where a request goes.
        hosts: As in the block: `host`, `host:port`, `*.host`, over https; with `http://` over plain http.
    """
    return any(_fits(origin, entry if "://" in entry else f"https://{entry}") for entry in hosts)


def _fits(origin: Origin, entry: str) -> bool:
    wild = "://*." in entry
    listed = origin_of(entry.replace("://*.", "://", 1))
    if listed is None:
        return False
    first, _, rest = origin.host.partition(".")
    return (origin.scheme, rest if wild else origin.host, origin.port) == listed and bool(first)


@dataclass(frozen=True, slots=True)
class Bounds:
    """For which services a credential is, and where its value may go, as its block says."""

    services: Sequence[str]
    hosts: Sequence[str]
    platforms: Sequence[str]


class Receiver(NamedTuple):
    """Who gets the headers of a request: an address, or the versions that a platform runs for a service."""

    service: str
    url: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a credential by a plan.

    Fields:
        credential: The block.
        field: Where the plan names it.
        receiver: Who gets it.
        host: What a header of the request names as the host, which may lead past the address; "" if none does.
        by: That header.
        of: What it is: the value of a header, or the address of a database or of a calendar, which no plan can choose.
    """

    credential: str
    field: str
    receiver: Receiver
    host: str = ""
    by: str = "Host"
    of: str = "header"

    def where(self) -> str:
        """Say where the value goes."""
        if self.of == "calendar":
            return "the calendar that it names"
        if self.of == "database":
            return f"the database that it names, for {self.receiver.platform}"
        name = f" as {self.host}" if self.host else ""
        if self.receiver.url:
            return f"{origin_of(self.receiver.url) or self.receiver.url}{name}"
        return f"versions on {self.receiver.platform}{name}"


def receiver_in(plan: Plan, environment: str) -> Receiver:
    """Give who gets the headers of checks in an environment: the versions that its platform runs."""
    return Receiver(plan.service, platform=place_of(plan, environment).platform)


def uses_in(requests: Iterable[tuple[str, HttpRequest]], receiver: Receiver) -> Iterator[Use]:
    """List the uses of credentials by requests, each given with its field."""
    for field, request in requests:
        hosts = list(_hosts_in(request.headers)) or [("", "Host")]
        for header, credential in request.secret_headers.items():
            yield from (Use(credential, f"{field}.secret_headers.{header}", receiver, host, by) for host, by in hosts)


def _hosts_in(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give each host that headers name by which a proxy routes, with the header; a list of several is not a host, and fits nowhere."""
    for name, value in headers.items():
        if name.lower() == "forwarded":
            yield from ((host, name) for host in FORWARDED_HOST.findall(value))
        elif name.lower() in ROUTING:
            yield value, name


def uses_of(plan: Plan) -> list[Use]:
    """List every use of a credential by a plan."""
    found: list[Use] = []
    for number, spec in enumerate(plan.dependencies):
        found += uses_in([(f"dependencies[{number}]", spec)], Receiver(plan.service, url=spec.url))
    checks = list(_checks_of(plan))
    probes = [(f"judgement.slis[{number}]", sli) for number, sli in enumerate(plan.judgement.slis) if isinstance(sli, ProbeSli)]
    for place in places_of(plan):
        receiver = Receiver(plan.service, platform=place.platform)
        found += uses_in(checks, receiver)
        found += uses_in(probes if place.environment != STAGING else [], receiver)
    for number, suite in enumerate(plan.data):
        for moment in suite.when:
            found += database_uses(plan, number, moment)
    return [*found, *_calendars_of(plan)]


def _checks_of(plan: Plan) -> Iterator[tuple[str, HttpRequest]]:
    yield from ((f"verification.health[{number}]", check) for number, check in enumerate(plan.verification.health))
    for number, test in enumerate(plan.verification.smoke):
        yield from ((f"verification.smoke[{number}].steps[{index}]", step) for index, step in enumerate(test.steps or ()))


def database_uses(plan: Plan, number: int, moment: Moment) -> list[Use]:
    """List the uses of the credential for the database of a suite: for each platform whose data it validates then; none for files."""
    name, section = plan.data[number].credential_at(moment), environment_at(moment)
    receivers = [Receiver(plan.service, platform=one.platform) for one in places_of(plan) if section_of(one.environment) == section]
    return [Use(name, f"data[{number}].connection.{section}", one, of="database") for one in receivers if name]


def _calendars_of(plan: Plan) -> Iterator[Use]:
    for kind, windows in (("allow", plan.windows.allow), ("deny", plan.windows.deny)):
        for number, window in enumerate(windows):
            if isinstance(window, CalendarWindow) and is_credential(window.ics):
                yield Use(window.ics, f"windows.{kind}[{number}].ics", Receiver(plan.service), of="calendar")


def refusal(use: Use, bounds: Bounds) -> tuple[str, str] | None:
    """Say why a block does not allow a use of it, and what to do; None if it does.

    A database and a calendar are where the block's own value says. The plan chooses the rest: the service, and the platform for whose data
    a database is asked.
    """
    name, (service, url, platform) = use.credential, use.receiver
    if service not in bounds.services:
        return f"{name} is not for the service {service}, which its `services` do not list", _fix(name, f"--service {service}")
    if use.of == "calendar":
        return None
    if url:
        origin = origin_of(url)
        if origin is None:
            return (
                f"{name} cannot be sent there: the address is not a plain host and port",
                "Write `https://host:port/path`, in letters of ASCII.",
            )
        if not is_listed(origin, bounds.hosts):
            return f"{name} may not be sent to {origin}, which its `hosts` do not list", _fix(name, f"--host {_entry(origin)}")
        schemes: Sequence[str] = [origin.scheme]
    else:
        if platform not in bounds.platforms:
            return f"{name} is not for versions on {platform}, which its `platforms` do not list", _fix(name, f"--platform {platform}")
        schemes = list(PORTS)
    named = [origin_of(f"{scheme}://{use.host}") for scheme in schemes if not set("/?") & set(use.host)]
    if use.host and not any(one and is_listed(one, bounds.hosts) for one in named):
        wrong = f"{name} may not be sent with the header {use.by}: {use.host[:100]}, which its `hosts` do not list"
        return wrong, "Leave the header out: a proxy may pass the request on by it. " + _fix(name, f"--host {use.host[:100]}")
    return None


def _entry(origin: Origin) -> str:
    return str(origin).removeprefix("https://")


def _fix(name: str, option: str) -> str:
    again = f"`shipway credential {name.partition('/')[2]} {option} …`"
    return f"Name a credential that may go there, or let whoever keeps this one make it anew with all that it is for: {again}."


def credentials_in_words(uses: Iterable[Use]) -> list[str]:
    """Say of each credential where it goes, a line each: `credential/smoke-token: versions on local/a; https://b.example`."""
    pairs = sorted({(use.credential, use.where()) for use in uses})
    return [f"{name}: {'; '.join(where for _, where in group)}" for name, group in groupby(pairs, key=lambda pair: pair[0])]


def calendar_refusal(name: str, address: str, hosts: Sequence[str]) -> tuple[str, str] | None:
    """Say that the calendar whose address a credential holds is not at one of its hosts, without the address; None if it is."""
    origin = origin_of(address)
    if origin is not None and is_listed(origin, hosts):
        return None
    return f"{name} holds the address of a calendar at a host that its `hosts` do not list", _fix(name, "--host HOST")
