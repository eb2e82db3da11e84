"""What the doctor says of automations: each that can keep a run from its work, as anyone with the API's password can make one."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from blocks.server import api

PAGE = 200
MOST = 10_000
HARMLESS = {"do-nothing", "send-notification"}
STOPPING = {
    "cancel-flow-run", "change-flow-run-state", "delete-flow-run", "pause-automation", "pause-deployment", "pause-work-pool",
    "pause-work-queue", "suspend-flow-run",
}  # fmt: skip
ACTIONS = ("actions", "actions_on_trigger", "actions_on_resolve")
BOUND = {"discord-webhook", "opsgenie-webhook", "pager-duty-webhook", "sendgrid-email", "twilio-sms"}  # to their service's own address
HOSTS = {
    "slack-webhook": ("hooks.slack.com", "hooks.slack-gov.com"),
    "ms-teams-webhook": (".webhook.office.com", ".logic.azure.com", ".api.powerplatform.com"),
}  # of a notification block whose address can be any; one that leads elsewhere may call the API of this server
NOT_FOUND = 404


class Acting(NamedTuple):
    """The enabled automations that do more than tell people, each as `name (actions)`.

    Fields:
        stopping: Those that stop, delete or pause something.
        other: Those that do something else: a webhook may call the API itself, and a deployment may be any.
    """

    stopping: list[str]
    other: list[str]


def acting(home: Path) -> Acting:
    """Read every automation, and say which act.

    Raises:
        OSError: The server is not reached.
    """
    found = Acting([], [])
    for one in _all(home):
        types = _types(home, one) if one["enabled"] else set()
        if types & STOPPING:
            found.stopping.append(f"{one['name']} ({', '.join(sorted(types & STOPPING))})")
        elif types:
            found.other.append(f"{one['name']} ({', '.join(sorted(types))})")
    return found


def _all(home: Path) -> Iterator[dict[str, Any]]:
    for offset in range(0, MOST, PAGE):
        page = api.ask(home, "/automations/filter", {"limit": PAGE, "offset": offset})
        yield from page
        if len(page) < PAGE:
            return


def _types(home: Path, automation: dict[str, Any]) -> set[str]:
    actions = [action for name in ACTIONS for action in automation.get(name) or []]
    types = {str(action["type"]) for action in actions} - HARMLESS
    blocks = {str(action.get("block_document_id")) for action in actions if action["type"] == "send-notification"}
    return types | {kind for block in blocks if (kind := _webhook(home, block))}


def _webhook(home: Path, block: str) -> str:
    """Name the type of a notification block that can send a request to any address; "" if it cannot, or was deleted."""
    try:
        found = api.ask(home, f"/block_documents/{block}?include_secrets=true")
    except urllib.error.HTTPError as error:
        if error.code != NOT_FOUND:
            raise
        return ""
    kind = str((found.get("block_type") or {}).get("slug"))
    return "" if kind in BOUND or is_of(kind, str((found.get("data") or {}).get("url"))) else kind


def is_of(kind: str, address: str) -> bool:
    """Say if an address is one of the service that a type of notification block is made for."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme == "https" and any(host == own or (own.startswith(".") and host.endswith(own)) for own in HOSTS.get(kind, ()))
