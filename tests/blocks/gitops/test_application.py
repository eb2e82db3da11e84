"""What Argo CD says in an Application: each file of `applications` was written by a real Argo CD 3.2 in that state."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import BadInput, Temporary
from blocks.gitops.application import observe, source_index
from blocks.gitops.engine import Observed
from blocks.gitops.operations import INFO, is_taken_up, operation_for, start_steps, terminate_steps, withdraw_steps
from blocks.gitops.windows import Closed

FOLDER = Path(__file__).parent / "applications"
CLOSED = Closed(datetime(2026, 11, 30, tzinfo=UTC))


def read(name: str) -> dict[str, Any]:
    """Read an Application."""
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))


def look(application: dict[str, Any], *, source: str = "", project: str = "", closed: Closed | None = None) -> Observed:
    """Observe it."""
    return observe(application, source=source, project=project, closed=closed)


def compared(application: dict[str, Any]) -> str:
    """Return the revision as it stands in the status."""
    return str(application["status"]["sync"]["revision"])


@pytest.mark.parametrize(
    ("name", "synced", "runs", "automatic"),
    [
        ("synced", True, False, True),
        ("manual_out_of_sync", False, False, False),
        ("running", False, True, True),
        ("blocked", False, True, False),
        ("hook_failed", False, False, True),
        ("rejected", False, False, True),
        ("terminated", False, False, True),
    ],
)
def test_revision_operation_and_policy_are_read(name: str, *, synced: bool, runs: bool, automatic: bool) -> None:
    """The full hash that was compared last, whether it is what runs, and the operation's own revision."""
    application = read(name)
    seen = look(application)
    assert (seen.revision, seen.synced, seen.automatic) == (compared(application), synced, automatic)
    assert seen.operation == (compared(application) if runs else None)


@pytest.mark.parametrize(
    ("name", "words", "temporary"),
    [
        ("rendering_failed", ["ComparisonError", "deployment.yaml", "line 4"], False),
        ("hook_failed", ["the sync failed", "Job migrate, a PreSync hook", "backoff limit"], False),
        ("rejected", ["Deployment.apps", "must be greater than or equal to 0"], False),
        ("terminated", ["Operation terminated"], False),
        ("needs_pruning", ["ConfigMap more", "prune"], False),
        ("no_such_project", ["InvalidSpecError", "nonesuch"], False),
        ("git_away", ["ComparisonError", "503"], True),
        ("degraded", ["Degraded"], True),
        ("synced", [], False),
        ("running", [], False),
        ("blocked", [], False),
        ("several_sources", [], False),
    ],
)
def test_a_fault_is_named_in_argo_cds_words(name: str, words: list[str], *, temporary: bool) -> None:
    """With the kind and name of what failed; what may pass by itself is told apart."""
    seen = look(read(name), source="0" if name == "several_sources" else "")
    assert [word for word in words if word not in seen.fault] == []
    assert bool(seen.fault) is bool(words)
    assert seen.temporary is temporary
    assert "rpc error" not in seen.fault


def test_a_revision_that_could_not_be_rendered_is_not_one() -> None:
    """Argo CD writes the branch's name there."""
    assert read("rendering_failed")["status"]["sync"]["revision"] == "main"
    assert look(read("rendering_failed")).revision == ""


@pytest.mark.parametrize(
    ("field", "value"), [("targetRevision", "next"), ("path", "other"), ("repoURL", "https://elsewhere.example/a.git")]
)
def test_what_was_compared_with_another_spec_says_nothing(field: str, value: str) -> None:
    """The spec was changed and not compared since."""
    application = read("synced")
    application["spec"]["source"][field] = value
    seen = look(application)
    assert (seen.revision, seen.synced) == ("", False)


def test_empty_fields_of_a_spec_are_not_another_spec() -> None:
    """People write them, and Argo CD leaves them out."""
    application = read("synced")
    application["spec"]["source"] |= {"directory": {"recurse": False}, "chart": ""}
    assert look(application).synced


def test_a_failed_operation_of_an_earlier_revision_is_not_a_fault() -> None:
    """Argo CD has compared another commit since, and may sync it."""
    application = read("hook_failed")
    application["status"]["sync"]["revision"] = "f" * 40
    assert look(application).fault == ""


def test_a_failed_operation_that_is_retried_may_pass() -> None:
    """Argo CD keeps it running with the time at which it failed."""
    application = read("hook_failed")
    state = application["status"]["operationState"]
    application["operation"] = copy.deepcopy(state["operation"])
    state["phase"] = "Running"
    seen = look(application)
    assert "Job migrate" in seen.fault
    assert seen.temporary


def test_a_hook_that_failed_after_the_sync_is_a_fault_although_all_is_in_sync() -> None:
    """The operation of this revision failed."""
    application = read("hook_failed")
    application["status"]["sync"]["status"] = "Synced"
    del application["status"]["conditions"]
    seen = look(application)
    assert seen.synced
    assert "Job migrate" in seen.fault


def test_a_suspended_resource_is_not_a_fault() -> None:
    """A paused rollout of Argo Rollouts is shown, not fought."""
    application = read("synced")
    application["status"]["health"]["status"] = "Suspended"
    application["status"]["resources"][0]["health"] = {"status": "Suspended", "message": "CanaryPauseStep"}
    seen = look(application)
    assert (seen.synced, seen.fault) == (True, "")
    assert "CanaryPauseStep" in seen.lines[0]


def test_an_application_of_another_project_is_not_followed() -> None:
    """Nothing else of it counts."""
    seen = look(read("synced"), project="shop")
    assert (seen.revision, seen.synced, seen.temporary) == ("", False, False)
    assert "default" in seen.fault


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metadata": {"deletionTimestamp": "2026-11-29T10:00:00Z"}}, "deleted"),
        ({"spec": {"sourceHydrator": {"drySource": {}}}}, "hydrator"),
    ],
)
def test_an_application_that_goes_or_is_hydrated_is_not_followed(change: dict[str, dict[str, Any]], words: str) -> None:
    """It is named."""
    application = read("synced")
    for part, fields in change.items():
        application[part] |= fields
    assert words in look(application).fault


def test_a_window_is_waited_for_only_by_what_has_something_to_sync() -> None:
    """An operation that it blocks, or a revision that is not in sync; not one that is."""
    assert look(read("blocked"), closed=CLOSED).waiting == "sync window until 2026-11-30 00:00 UTC"
    assert look(read("blocked")).waiting == "sync window"
    assert look(read("manual_out_of_sync"), closed=CLOSED).waiting == "sync window until 2026-11-30 00:00 UTC"
    assert look(read("synced"), closed=CLOSED).waiting == ""


def test_one_of_several_sources_is_named_by_index_or_name() -> None:
    """Without either it is refused with what there is; a source that does not exist is, too."""
    application = read("several_sources")
    assert source_index(application, "more") == 1
    assert source_index(application, "0") == 0
    for wrong in ("", "2", "none"):
        with pytest.raises(BadInput, match="more"):
            source_index(application, wrong)
    assert look(application, source="more").revision == application["status"]["sync"]["revisions"][1]


def test_an_operation_of_several_sources_leaves_the_others_where_they_were() -> None:
    """Each source has a revision, and only ours is the commit."""
    application = read("several_sources")
    operation = operation_for(application, 0, "c" * 40, note="run-1", prune=False)
    assert operation["sync"]["revisions"] == ["c" * 40, application["status"]["sync"]["revisions"][1]]
    application["status"]["sync"]["revisions"] = []
    with pytest.raises(Temporary, match="compared"):
        operation_for(application, 0, "c" * 40, note="run-1", prune=False)


def test_an_operation_is_requested_whole_and_the_last_ones_state_cleared() -> None:
    """Argo CD merges states, so fields of the last one would be taken for ours."""
    application = read("hook_failed")
    steps = start_steps(application, operation_for(application, 0, "c" * 40, note="run-1", prune=False))
    assert [(step["op"], step["path"]) for step in steps] == [("remove", "/status/operationState"), ("add", "/operation")]
    assert steps[1]["value"]["sync"]["revision"] == "c" * 40


def test_an_operation_is_ours_if_it_runs_for_the_commit_or_ended_with_our_note() -> None:
    """One that another release ended may be begun again; one of another revision that runs is waited for."""
    running, ended = read("running"), read("hook_failed")
    assert is_taken_up(running, 0, compared(running), note="run-1")
    with pytest.raises(Temporary, match="another revision"):
        is_taken_up(running, 0, "c" * 40, note="run-1")
    assert not is_taken_up(ended, 0, compared(ended), note="run-1")
    ended["status"]["operationState"]["operation"]["info"] = [{"name": INFO, "value": "run-1"}]
    assert is_taken_up(ended, 0, compared(ended), note="run-1")


def test_an_operation_is_terminated_or_withdrawn_by_how_far_it_is() -> None:
    """Argo CD terminates what it has begun; what it has not begun, or what a window blocks, is taken away."""
    running, blocked = read("running"), read("blocked")
    assert [step["path"] for step in terminate_steps(running)] == ["/status/operationState/phase"]
    running["status"]["operationState"]["phase"] = "Terminating"
    assert terminate_steps(running) == []
    del running["status"]["operationState"]
    assert terminate_steps(running) == [{"op": "remove", "path": "/operation"}]
    assert [step["path"] for step in withdraw_steps(blocked, at="now")] == ["/operation", "/status/operationState"]
    assert terminate_steps(read("synced")) == withdraw_steps(read("synced"), at="now") == []
