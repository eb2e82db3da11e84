"""What the doctor says of queues, limits and deployments that would hold a rollback up; each finding has its fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blocks.server import api, automations, deployed, doctor, worker

HOME = Path("/srv/shipway")
ROLLBACK = next(one for one in sorted(deployed.URGENT) if one.endswith(".rollback"))


def queue(name: str, **changed: Any) -> dict[str, Any]:
    """Give a queue as the server does."""
    return {"name": name, "is_paused": False, "concurrency_limit": None} | changed


def queues(**changed: Any) -> list[dict[str, Any]]:
    """Give both queues; what is changed of the urgent one, or of the releases' with `releases`."""
    releases = changed.pop("releases", {})
    return [queue(worker.URGENT, **changed), queue(worker.RELEASES, **{"concurrency_limit": worker.RELEASES_AT_ONCE} | releases)]


@pytest.mark.parametrize(
    ("pool", "found", "level", "says"),
    [
        (None, queues(), "ok", [worker.URGENT, worker.RELEASES]),
        (None, queues()[:1], "fail", [f"no queue {worker.RELEASES}", "shipway up"]),
        (
            None,
            queues(is_paused=True),
            "fail",
            [f"paused: {worker.URGENT}", f"prefect work-queue resume {worker.URGENT} --pool {worker.POOL}"],
        ),
        (None, queues(releases={"is_paused": True}), "fail", [f"paused: {worker.RELEASES}"]),
        (3, queues(), "fail", ["concurrency limit 3", f"prefect work-pool clear-concurrency-limit {worker.POOL}"]),
        (0, queues(), "fail", ["concurrency limit 0"]),
        (None, queues(concurrency_limit=0), "fail", [f"{worker.URGENT} has the concurrency limit 0", "clear-concurrency-limit"]),
        (None, queues(releases={"concurrency_limit": 0}), "fail", ["no release is started", "set-concurrency-limit"]),
    ],
    ids=["well", "missing", "urgent paused", "releases paused", "pool limited", "pool closed", "urgent limited", "releases closed"],
)
def test_a_queue_that_holds_runs_up_is_found(
    monkeypatch: pytest.MonkeyPatch, pool: int | None, found: list[dict[str, Any]], level: str, says: list[str]
) -> None:
    """A limit on the pool or on the urgent queue is one on rollbacks."""
    monkeypatch.setattr(
        api, "ask", lambda _home, path, _body=None: found if path.endswith("/queues/filter") else {"concurrency_limit": pool}
    )
    finding = doctor._queues(HOME)
    assert finding.level == level
    assert [one for one in says if one not in f"{finding.text} {finding.fix}"] == []


def deployment(entry_point: str, **changed: Any) -> dict[str, Any]:
    """Give a deployment as the server does."""
    name = entry_point.rpartition(".")[2]
    right = {"id": name, "name": name, "entrypoint": entry_point, "parameters": {}, "paused": False, "global_concurrency_limit": None}
    return dict.fromkeys(deployed.FIELDS) | right | changed


@pytest.mark.parametrize(
    ("changed", "level", "says"),
    [
        ({}, "ok", "rollback"),
        ({"paused": True}, "fail", "rollback is paused"),
        ({"parameters": {"evil": 1}}, "fail", "rollback has other parameters"),
        ({"pull_steps": [{"run": "evil"}], "job_variables": {"command": "evil"}}, "fail", "rollback has other pull steps, job variables"),
        ({"global_concurrency_limit": {"limit": 1}}, "fail", "rollback has the concurrency limit 1"),
        ({"entrypoint": "flows.other.rollback"}, "fail", "rollback has other entrypoint"),
    ],
    ids=["well", "paused", "parameters", "code", "limited", "other entry point"],
)
def test_a_deployment_of_the_rollback_that_was_changed_is_found(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], level: str, says: str
) -> None:
    """The fix names the rollback that needs no deployment."""
    made = [deployment(one) for one in deployed.URGENT]
    found = [one | (changed if one["entrypoint"] == ROLLBACK else {}) for one in made]
    monkeypatch.setattr(deployed, "known", lambda _home: {one["id"]: one | {"limit": None} for one in made})
    monkeypatch.setattr(api, "ask", lambda *_asked: found)
    finding = doctor._deployments(HOME)
    assert finding.level == level
    assert says in finding.text
    assert ("--here" in finding.fix) == (level == "fail")


@pytest.mark.parametrize(
    "changed",
    [{"name": "other"}, {"pull_steps": [{"git": "evil"}]}, {"job_variables": {"x": 1}}, {"path": "/srv/other"}],
    ids=["another name", "fetched first", "variables", "another folder"],
)
def test_only_what_the_code_asks_for_counts_as_a_deployment_of_ours(monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]) -> None:
    """The doctor and what deploys a missing one again go by the same name."""
    found = [deployment(one, **(changed if one == ROLLBACK else {})) for one in deployed.URGENT]
    monkeypatch.setattr(deployed, "known", lambda _home: {one["id"]: one | {"limit": None} for one in found})
    monkeypatch.setattr(api, "ask", lambda *_asked: found)
    assert "missing, or made with another entry point: rollback" in doctor._deployments(HOME).text


@pytest.mark.parametrize(("block", "level"), [(None, "ok"), ("0b1f6a0c-7c57-4f6c-9a0e-0f2f6c6f9d11", "warn")])
def test_a_default_storage_that_was_set_on_the_server_is_named(monkeypatch: pytest.MonkeyPatch, block: str | None, level: str) -> None:
    """With how it is taken away; it is not used."""
    monkeypatch.setattr(api, "ask", lambda _home, path: {"/admin/storage": {"default_result_storage_block_id": block}}[path])
    finding = doctor._server_storage(HOME)
    assert (finding.level, "DELETE /admin/storage" in finding.fix) == (level, level == "warn")


@pytest.mark.parametrize(
    ("state", "actions", "level"),
    [
        ("enabled", {"actions": "suspend-flow-run"}, "fail"),
        ("enabled", {"actions": "cancel-flow-run"}, "fail"),
        ("enabled", {"actions": "delete-flow-run"}, "fail"),
        ("enabled", {"actions": "pause-work-queue"}, "fail"),
        ("enabled", {"actions_on_resolve": "delete-flow-run"}, "fail"),
        ("enabled", {"actions_on_trigger": "pause-automation"}, "fail"),
        ("enabled", {"actions": "call-webhook"}, "warn"),
        ("enabled", {"actions": "of-a-later-prefect"}, "warn"),
        ("enabled", {"actions": "send-notification by custom-webhook http://127.0.0.1:4200/api"}, "warn"),
        ("enabled", {"actions": "send-notification by slack-webhook http://127.0.0.1:4200/api"}, "warn"),
        ("enabled", {"actions": "send-notification by slack-webhook https://hooks.slack.com.evil.example/x"}, "warn"),
        ("enabled", {"actions": "send-notification by slack-webhook http://[x"}, "warn"),
        ("enabled", {"actions": "send-notification by ms-teams-webhook https://evil.example/x"}, "warn"),
        ("enabled", {"actions": "send-notification by mattermost-webhook "}, "warn"),
        ("enabled", {"actions": "send-notification by of-a-later-prefect "}, "warn"),
        ("enabled", {"actions": "send-notification by slack-webhook https://hooks.slack.com/services/x"}, "ok"),
        ("enabled", {"actions": "send-notification by ms-teams-webhook https://shop.webhook.office.com/x"}, "ok"),
        ("enabled", {"actions": "send-notification by twilio-sms "}, "ok"),
        ("disabled", {"actions": "suspend-flow-run"}, "ok"),
    ],
    ids=str,
)
def test_an_automation_that_could_stop_a_rollback_is_named(
    monkeypatch: pytest.MonkeyPatch, state: str, actions: dict[str, str], level: str
) -> None:
    """Anyone with the API's password can make one, behind any number of others."""
    acts = {name: [{"type": "do-nothing"}, {"type": kind.partition(" ")[0], "block_document_id": kind}] for name, kind in actions.items()}
    quiet = [{"name": f"a{number}", "enabled": True, "actions": []} for number in range(automations.PAGE)]
    found = [*quiet, {"name": "calm down", "enabled": state == "enabled", **acts}]

    def ask(_home: object, path: str, body: dict[str, int] | None = None) -> Any:
        if body is None:
            kind, _, address = path.removesuffix("?include_secrets=true").partition(" by ")[2].partition(" ")
            return {"block_type": {"slug": kind}, "data": {"url": address}}
        return found[body["offset"] :][: body["limit"]]

    monkeypatch.setattr(api, "ask", ask)
    finding = doctor._automations(HOME)
    assert finding.level == level
    assert ("calm down (" in finding.text) == (level != "ok")
