"""An Argo CD Application as it was read, in Argo CD's own terms: sources, revisions, the operation, and what it says of all that. Pure.

What is compared is in `status.sync`, and counts only if `comparedTo` is the present spec. `status.history` and the result of the last
operation stay behind if nothing differs, so they do not say what is deployed. https://argo-cd.readthedocs.io/en/stable/operator-manual/
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from blocks.errors import BadInput
from blocks.forge.forge import HASH
from blocks.gitops.engine import Observed
from blocks.gitops.faults import Fault, fault_of, health_words, strangeness_of
from blocks.gitops.windows import Closed
from blocks.outside_text import outside

Json = Mapping[str, Any]
HOLD = "shipway.dev/hold"
REFRESH = "argocd.argoproj.io/refresh"
BLOCKED = "Sync operation blocked by sync window"
MOST_WORDS = 300


def title_of(application: Json) -> str:
    """Return namespace and name."""
    return f"{application['metadata'].get('namespace', '')}/{application['metadata']['name']}"


def sources_of(application: Json) -> list[Json]:
    """List the sources of a spec, which has either one or several."""
    spec = application["spec"]
    return list(spec.get("sources") or [spec.get("source") or {}])


def source_index(application: Json, named: str) -> int:
    """Find the source that a block names.

    Args:
        application: As it was read.
        named: Index from 0 or `name`; "" takes the only one that is in Git.

    Raises:
        BadInput: There is no such source, several fit, or it is a chart of a repository of charts.
    """
    sources = sources_of(application)
    in_git = [index for index, source in enumerate(sources) if not source.get("chart")]
    if named.isdigit():
        found = [index for index in range(len(sources)) if index == int(named)]
    else:
        found = [index for index in in_git if not named or sources[index].get("name") == named]
    if len(found) == 1 and found[0] in in_git:
        return found[0]
    have = ", ".join(f"{index} ({source.get('name') or source.get('repoURL', '')})" for index, source in enumerate(sources))
    fix = f"Give the block the index or the name of the one that releases are committed to. There are: {outside(have, limit=MOST_WORDS)}"
    raise BadInput(f"the Application {title_of(application)} has {len(found) or 'none'} such source in Git", field="source", fix=fix)


def compared_revision(application: Json, index: int) -> str:
    """Return the commit of a source that was compared last with the present spec; "" if it could not be, or if that is not known."""
    status, spec = (application.get("status") or {}).get("sync") or {}, application["spec"]
    compared = status.get("comparedTo") or {}
    several = bool(spec.get("sources"))
    wanted = {"destination": spec.get("destination"), **({"sources": spec["sources"]} if several else {"source": spec.get("source")})}
    if status.get("status") not in {"Synced", "OutOfSync"} or any(_plain(compared.get(key)) != _plain(wanted[key]) for key in wanted):
        return ""
    return revision_in(status, index)


def revision_in(found: Json, index: int) -> str:
    """Return the full hash of a source in something that has `revision` or `revisions`; "" if it has none."""
    several = found.get("revisions") or []
    revision = str(several[index]) if index < len(several) else "" if several else str(found.get("revision") or "")
    return revision if HASH.fullmatch(revision) else ""


def is_automatic(application: Json) -> bool:
    """Say whether it syncs by itself."""
    automated = (application["spec"].get("syncPolicy") or {}).get("automated")
    return automated is not None and automated.get("enabled") is not False


def running_revision(application: Json, index: int) -> str | None:
    """Return the revision of the operation that runs or is requested, "" if it is not known; None if none runs.

    `operation` is there until Argo CD is done with it; a phase `Running` without it is left over and moves nothing.
    """
    requested = application.get("operation")
    if requested is None:
        return None
    state = (application.get("status") or {}).get("operationState") or {}
    result = state.get("syncResult") or {}
    same = (state.get("operation") or {}).get("sync") == requested.get("sync")
    return (same and revision_in(result, index)) or revision_in(requested.get("sync") or {}, index)


def observe(application: Json, *, source: str, project: str, closed: Closed | None) -> Observed:
    """Say what Argo CD knows of an Application.

    Args:
        application: As it was read.
        source: As in `source_index`.
        project: The project that it must belong to; "" for any.
        closed: Whether a sync window keeps the next sync from beginning: by itself if it is automatic, else by hand.
    """
    index = source_index(application, source)
    status = application.get("status") or {}
    strange = strangeness_of(application, project=project)
    revision = "" if strange else compared_revision(application, index)
    state = status.get("operationState") or {}
    operation = running_revision(application, index)
    synced = bool(revision) and (status.get("sync") or {}).get("status") == "Synced"
    attempted = revision_in(state.get("syncResult") or {}, index) or revision_in((state.get("operation") or {}).get("sync") or {}, index)
    fault = strange or fault_of(application, attempted=bool(revision) and attempted == revision, running=operation is not None)
    blocked = operation is not None and str(state.get("message") or "").startswith(BLOCKED)
    waiting = str(closed or "sync window") if blocked else str(closed or "") if operation is None and revision and not synced else ""
    return Observed(
        revision=revision,
        synced=synced,
        operation=operation,
        automatic=is_automatic(application),
        held=is_held(application),
        fault=outside(fault.words, limit=2_000),
        temporary=fault.temporary,
        waiting=waiting,
        lines=_lines(application, revision, operation, fault, waiting),
    )


def unseen(why: str) -> Observed:
    """Say that the Application cannot be read, and why."""
    words = outside(why, limit=MOST_WORDS)
    return Observed(
        revision="", synced=False, operation=None, automatic=False, held=False, fault=words, temporary=False, waiting="", lines=(words,)
    )


def is_held(application: Json) -> bool:
    """Say whether Shipway switched the automatic sync off, and it is off."""
    return bool((application["metadata"].get("annotations") or {}).get(HOLD)) and not is_automatic(application)


def is_asked(application: Json) -> bool:
    """Say whether Argo CD was asked to look at Git, and has not looked since."""
    return REFRESH in (application["metadata"].get("annotations") or {})


def _lines(application: Json, revision: str, operation: str | None, fault: Fault, waiting: str) -> tuple[str, ...]:
    status = application.get("status") or {}
    sync = (status.get("sync") or {}).get("status") or "not compared yet"
    first = f"{title_of(application)}: {sync} at {revision[:12] or 'no known revision'}, {health_words(application)}"
    looked = status.get("reconciledAt")
    said = str((status.get("operationState") or {}).get("message") or "") if operation is not None else ""
    second = f"syncing {operation[:12] or 'a revision'}: {said}".rstrip(": ") if operation is not None else ""
    third = fault.words or waiting
    last = f"last compared {_clock(looked)}" if looked else ""
    return tuple(str(outside(line, limit=MOST_WORDS)) for line in (first, second, third, last) if line)[:3]


def _clock(moment: Any) -> str:
    try:
        return f"{datetime.fromisoformat(str(moment)):%H:%M:%S} UTC"
    except ValueError:
        return str(moment)


def _plain(value: Any) -> Any:
    """Leave out what is empty: Argo CD drops empty fields from what it compared, and people write them."""
    if isinstance(value, Mapping):
        plain = {key: _plain(inner) for key, inner in value.items()}
        return {key: inner for key, inner in plain.items() if inner not in (None, "", False, 0, [], {})}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
