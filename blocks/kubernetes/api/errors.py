"""API errors: what an answer of the API server means for the caller, with the fix."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from blocks.errors import BadInput, RolloutFailed, ShipwayError, Temporary, Unreachable, WorldMoved, refusing

DENIED = re.compile(r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"')
# Policies and webhooks choose the status of their rejections themselves.
ADMISSION = re.compile(r"ValidatingAdmissionPolicy|admission webhook|denied the request|denied request")
# An API server that has not loaded its roles yet answers this in the first moments after its start.
STARTING = re.compile(r"RBAC: .*not found")
UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|doesn't match|NO_CERTIFICATE_OR_CRL_FOUND|no certificate or crl found", re.IGNORECASE)
MANAGER = re.compile(r'conflict with "(?P<manager>[^"]+)"')


class Missing(WorldMoved):
    """The object does not exist."""


class Changed(Temporary):
    """Conflict: the object was changed since it was read; read it and decide again."""


class Owned(WorldMoved):
    """Ownership conflict: fields belong to other field managers.

    Args:
        message: Which fields, whose, and the fix.
        managers: Their names.
    """

    def __init__(self, message: str, *, managers: tuple[str, ...]) -> None:
        """Keep the managers' names."""
        super().__init__(message)
        self.managers = managers


class Expired(Temporary):
    """The watch's resourceVersion expired (410): list again."""


def error_of(status: int, content: bytes, *, what: str) -> ShipwayError:
    """Convert an answer to an error.

    Args:
        status: The HTTP status, 400 and above.
        content: The body: a Kubernetes `Status` if the API server itself answered.
        what: The request in words, as `PATCH deployments.apps podinfo`.

    Returns:
        `Unreachable` for a server in trouble; `Missing`, `Changed` and `Expired` for callers that can handle them;
        else what a person must fix.
    """
    said = _status(content)
    message = _short(str(said.get("message") or content[:500].decode("utf-8", "replace")))
    match status:
        case HTTPStatus.UNAUTHORIZED:
            fix = "Give the block a token or certificate that is still valid"
            return refusing(BadInput(f"the API server does not accept the credentials (401 for {what})", field="config", fix=fix))
        case HTTPStatus.FORBIDDEN:
            return _forbidden(message, what=what)
        case HTTPStatus.NOT_FOUND:
            return Missing(f"{what}: it does not exist ({message})")
        case HTTPStatus.CONFLICT:
            return _conflict(said, message, what=what)
        case HTTPStatus.GONE:
            return Expired(f"{what}: {message}", delay_seconds=0)
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
            return _invalid(said, message, what=what)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unreachable(f"the API server answered {what} with {status}: {message}", delay_seconds=1)
    return RolloutFailed(f"the API server rejected {what} with {status}: {message}")


def unanswered(host: str, what: str, reason: object) -> ShipwayError:
    """Convert a request without an answer to an error.

    Args:
        host: The API server's address.
        what: The request in words.
        reason: The connection's error.

    Returns:
        `Unreachable`; `BadInput` for a certificate that is not trusted, where a retry is useless.
    """
    if UNTRUSTED.search(str(reason)):
        fix = "Give the certificate authority of this cluster, as `kubectl config view --raw` prints it"
        return BadInput(f"the certificate of the API server at {host} is not trusted", field="config", fix=fix)
    return Unreachable(f"the API server at {host} does not answer {what}: {type(reason).__name__}")


def _forbidden(message: str, *, what: str) -> ShipwayError:
    """Distinguish missing rights, with the rule to add, from quota and admission, which reject the object."""
    if STARTING.search(message):
        return Unreachable(f"the API server has not loaded its roles yet ({what}): {message}", delay_seconds=1)
    denied = DENIED.search(message)
    if denied is None:
        return RolloutFailed(f"the cluster's admission rejects it ({what}): {message}", evidence=(message,))
    rule = f'{{apiGroups: ["{denied["group"]}"], resources: ["{denied["resource"]}"], verbs: ["{denied["verb"]}"]}}'
    role = "docs/argocd-role.yaml" if denied["group"] == "argoproj.io" else "docs/kubernetes-role.yaml"
    wrong = f"{denied['user']} may not {denied['verb']} {denied['resource']}"
    fix = f"Add the rule {rule} to its Role in this namespace; {role} has the whole Role"
    return refusing(BadInput(wrong, field="access", fix=fix))


def _conflict(said: dict[str, Any], message: str, *, what: str) -> ShipwayError:
    causes = [cause for cause in (said.get("details") or {}).get("causes") or [] if cause.get("reason") == "FieldManagerConflict"]
    if not causes:
        return Changed(f"{what}: {message}", delay_seconds=0.1)
    managers = sorted({found["manager"] for cause in causes if (found := MANAGER.search(str(cause.get("message"))))})
    fields = sorted({str(cause.get("field")) for cause in causes})
    fix = "Remove them from that manager, or set force_conflicts on the block to take them over"
    message = f"{what}: {', '.join(fields)} belong to {', '.join(managers) or 'another manager'}. {fix}"
    return Owned(message, managers=tuple(managers))


def _invalid(said: dict[str, Any], message: str, *, what: str) -> ShipwayError:
    if ADMISSION.search(message):
        return RolloutFailed(f"the cluster's admission rejects it ({what}): {message}", evidence=(message,))
    causes = (said.get("details") or {}).get("causes") or []
    field = str(causes[0].get("field") or "manifest") if causes else "manifest"
    return BadInput(f"the API server finds {what} invalid: {message}", field=field, fix="Fix the manifest or the block")


def _status(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 600 else f"{flat[:600]} …"  # noqa: PLR2004 - a message fits on a screen
