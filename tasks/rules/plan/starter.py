"""Starter: what `shipway init` asks for, checked answer by answer, and the version that the tags of a repository propose."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from blocks.errors import BadInput
from tasks.rules.plan.types import NAME, PATTERN_WORDS, PERSON, URL_PATH
from tasks.rules.plan.version import has_controls, version_fault

Method = Literal["local", "kubernetes", "gitops", "script", "script-hosts"]
METHODS: Mapping[str, str] = {
    "local": "processes on this machine, behind a router",
    "kubernetes": "a Deployment or StatefulSet of a cluster",
    "gitops": "a commit to a repository that Argo CD deploys",
    "script": "your own deployment scripts on this machine",
    "script-hosts": "your own deployment scripts on hosts, by SSH",
}
ASKED: Mapping[str, tuple[str, ...]] = {
    "local": ("command", "health"),
    "kubernetes": ("workload", "health"),
    "gitops": ("repository", "edit"),
    "script": ("command", "address"),
    "script-hosts": ("command", "hosts"),
}
"""What is asked between the method and the approvers; with the service these are five questions."""
OF_METHOD: Mapping[str, tuple[str, ...]] = {
    **ASKED,
    "gitops": (*ASKED["gitops"], "workload", "health"),
    "script": (*ASKED["script"], "health"),
    "script-hosts": (*ASKED["script-hosts"], "address", "health"),
}
"""The options that a method takes."""
NO_ONE = "none"
HEALTH = "/healthz"
FIRST_VERSION = "0.1.0"
TEMPLATES = ("v{version}", "{version}", "{service}-v{version}", "{service}-{version}", "{service}/v{version}", "{service}/{version}")
WORKLOAD = re.compile(r"([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)/([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)")
FILE = re.compile(r"[^/\\:\x00-\x1f][^\\:\x00-\x1f]*")
LONGEST = 500


class Edit(NamedTuple):
    """The value in Git that says which version runs.

    Fields:
        file: From the root of the repository.
        path: Where it stands, as `image.tag`; "" if `image` says it.
        image: Or the `name` of an entry of kustomize's `images`.
    """

    file: str
    path: str
    image: str


NO_EDIT = Edit("", "", "")


class Proposal(NamedTuple):
    """What the tags of a repository say.

    Fields:
        tag: How versions are named, as `v{version}`.
        version: The newest one, "" if no tag is a version.
    """

    tag: str
    version: str


@dataclass(frozen=True)
class Answers:
    """What was answered; what does not belong to the method is empty.

    Fields:
        service: The service's name.
        method: How it is deployed.
        health: A path that answers with 200 if the service is well.
        approvers: Who may approve; empty if a release needs no approval.
        command: local: program and arguments. script, script-hosts: the words before the action.
        workloads: kubernetes, gitops: of staging and production, as `namespace/name`.
        addresses: script, script-hosts: where staging and production are reached.
        hosts: script-hosts: those of staging and of production, each as `[USER@]HOST[:PORT]`.
        repository: gitops: the address of the repository.
        edit: gitops: the value that says the version.
        tag: How versions are named in Git.
    """

    service: str
    method: Method
    health: str
    approvers: tuple[str, ...]
    command: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    hosts: tuple[tuple[str, ...], ...] = ()
    repository: str = ""
    edit: Edit = NO_EDIT
    tag: str = TEMPLATES[0]


def check_service(text: str) -> str:
    """Check a service's name.

    Raises:
        BadInput: As all checks here, with the option as its field.
    """
    return _fitting(text, NAME, option="service")


def check_method(text: str) -> Method:
    """Check a method."""
    for method in METHODS:
        if text == method:
            return method  # type: ignore[return-value]
    raise _wrong("method", f"{text!r} is not a method", f"Write one of {', '.join(METHODS)}.")


def check_health(text: str) -> str:
    """Check the path of the health check."""
    return _fitting(text, URL_PATH, option="health")


def check_approvers(text: str) -> tuple[str, ...]:
    """Check the names of the approvers, which stand between commas or spaces; `none` means that no approval is needed."""
    names = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if names == (NO_ONE,):
        return ()
    if not names or NO_ONE in names:
        raise _wrong(
            "approvers", "no one is named" if not names else "`none` stands beside names", f"Write names, as `ada,grace`, or `{NO_ONE}`."
        )
    return tuple(_fitting(name, PERSON, option="approvers") for name in names)


def check_command(text: str, method: str) -> tuple[str, ...]:
    """Check the command of a local service, which needs its port, or of scripts, which need to know their environment."""
    example, needed = ("python3 app.py {port}", "{port}") if method == "local" else ("./deploy.sh {environment}", "{environment}")
    fix = f"Write a program and its arguments, as `{example}`."
    try:
        words = tuple(shlex.split(_plain(text, option="command")))
    except ValueError as error:
        raise _wrong("command", f"it cannot be split into words: {error}", "Close every quote.") from None
    if not words or not words[0].strip():
        raise _wrong("command", "there is no program", fix)
    if method != "script-hosts" and not any(needed in word for word in words):  # other hosts are another environment
        why = "does not say on which port to serve" if method == "local" else "does not tell staging from production"
        raise _wrong("command", f"it {why}", f"Put `{needed}` where it belongs, as `{example}`.")
    return words


def check_workloads(words: Iterable[str]) -> tuple[str, ...]:
    """Check the workloads of staging and production."""
    found = tuple(words)
    fix = "Write both as NAMESPACE/NAME, as `shop-staging/shop shop/shop`."
    if len(found) != len(("staging", "production")):
        raise _wrong("workload", f"{len(found)} given, and two are needed: of staging and of production", fix)
    for one in found:
        if not WORKLOAD.fullmatch(one):
            raise _wrong("workload", f"{one!r} is not a workload", fix)
    if found[0] == found[1]:
        raise _wrong("workload", "staging and production are the same workload", "Name one of its own for each.")
    return found


def check_addresses(words: Iterable[str]) -> tuple[str, ...]:
    """Check the addresses of staging and production; the health check's path is not in them."""
    found = tuple(one.rstrip("/") for one in words)
    fix = "Write both as http://HOST:PORT, as `http://127.0.0.1:8084 http://127.0.0.1:8085`."
    if len(found) != len(("staging", "production")):
        raise _wrong("address", f"{len(found)} given, and two are needed: of staging and of production", fix)
    for one in found:
        if not _is_address(one):
            raise _wrong("address", f"{one!r} is not an address without a path", f"{fix} The path of the health check is --health.")
    if found[0] == found[1]:
        raise _wrong("address", "staging and production have the same address", "Give each its own.")
    return found


def check_hosts(words: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Split the hosts of staging and production, with commas between those of one of them; their names are checked by the block."""
    found = tuple(tuple(filter(None, one.split(","))) for one in words)
    fix = "Write both, as `stage-1 web-1,web-2,web-3`, each host as [USER@]HOST[:PORT]."
    if len(found) != len(("staging", "production")):
        raise _wrong("hosts", f"{len(found)} given, and two are needed: those of staging and of production", fix)
    if not all(found):
        raise _wrong("hosts", "an environment has no hosts", fix)
    if both := sorted(set(found[0]) & set(found[1])):
        raise _wrong("hosts", f"{both[0]} stands in staging and in production", "Give each hosts of its own.")
    return found


def check_edit(text: str) -> Edit:
    """Check what says in Git which version runs: `FILE:PATH`, or `FILE:image=NAME` of a kustomization."""
    file, colon, place = _plain(text, option="edit").partition(":")
    if not colon or not place or not FILE.fullmatch(file) or ".." in file.split("/"):
        fix = "Write a file and a value in it, as `apps/shop/values.yaml:image.tag`, or `apps/shop/kustomization.yaml:image=shop`."
        raise _wrong("edit", f"{text!r} does not name a file and a value in it", fix)
    is_image = place.startswith("image=") and len(place) > len("image=")
    return Edit(file, "", place.removeprefix("image=")) if is_image else Edit(file, place, "")


def words_of(text: str) -> list[str]:
    """Split an answer that has several words, with or without a comma between them."""
    return text.replace(",", " ").split()


def service_of(folder: str) -> str:
    """Make a service's name from that of a folder; "" if nothing is left of it."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:40].strip("-")


def workloads_of(service: str) -> tuple[str, str]:
    """Give the workloads of a service that has its own namespaces."""
    return f"{service}-staging/{service}", f"{service}/{service}"


def addresses_of(hosts: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Propose where staging and production are reached: at their first hosts."""
    return tuple("http://" + re.sub(r"^[^@]*@|:[0-9]+$", "", one[0]) for one in hosts)


def propose(tags: Iterable[str], service: str) -> Proposal:
    """Find how versions are named, and the newest: pre-releases only if there is nothing else."""
    listed = list(tags)
    best: tuple[bool, Version, Proposal] | None = None
    for template in (one.replace("{service}", service) for one in TEMPLATES):
        for text, number in _versions(listed, template):
            found = (not number.is_prerelease, number, Proposal(template, text))
            if best is None or found[:2] > best[:2]:
                best = found
    return best[2] if best else Proposal(TEMPLATES[0], "")


def _versions(tags: list[str], template: str) -> Iterable[tuple[str, Version]]:
    before = template.removesuffix("{version}")
    for tag in tags:
        text = tag.removeprefix(before)
        if tag.startswith(before) and text[:1].isdigit() and not version_fault(text):
            try:
                yield text, Version(text)
            except InvalidVersion:
                continue


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_whole and text == f"{parts.scheme}://{parts.netloc}" and "@" not in text and not re.search(r"[\s{}]", text)


def _fitting(text: str, pattern: str, *, option: str) -> str:
    if not re.fullmatch(pattern, _plain(text, option=option)):
        raise _wrong(option, f"{text!r} does not fit", PATTERN_WORDS[pattern])
    return text


def _plain(text: str, *, option: str) -> str:
    if has_controls(text) or len(text) > LONGEST:
        raise _wrong(option, "it has control characters, or is too long", f"Write at most {LONGEST} printable characters.")
    return text


def _wrong(option: str, message: str, fix: str) -> BadInput:
    return BadInput(message, field=f"--{option}", fix=fix)
