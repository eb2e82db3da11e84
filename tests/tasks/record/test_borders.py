"""The secrets of loaded blocks leave this process in no log record and no evidence; what decides stays as it is."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from prefect.blocks.notifications import SlackWebhook
from prefect.blocks.system import Secret
from prefect.events import Event
from prefect.serializers import JSONSerializer
from prefect.states import Failed
from pydantic import BaseModel, SecretStr

from blocks import secret_text
from blocks.approvers.approvers import Approvers
from blocks.local.platform import LocalPlatform
from tasks.record import borders
from tasks.record.borders import guard, hold, secrets_in
from tasks.rules.record.masking import hide_in
from tests.hostile_text import ANY_TEXT
from tests.source_trees import tree_of

ROOT = Path(__file__).parents[3]
VALUE = "correct-horse-battery"


@pytest.fixture(autouse=True)
def holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process hold no secret but those of the test."""
    monkeypatch.setattr(secret_text, "_known", set())


class Nested(BaseModel):
    """A model with secrets at every depth."""

    plain: str = "plain text"
    one: SecretStr = SecretStr("first")
    many: dict[str, list[SecretStr]] = {"a": [SecretStr("second")], "b": [SecretStr("third")]}
    none: SecretStr | None = None


def test_secrets_are_found_at_every_depth() -> None:
    """In dictionaries and lists of models, in Prefect's own blocks, and nothing else."""
    assert sorted(secrets_in({"x": [Nested()], "y": Secret[dict[str, str]](value={"key": "fourth"})})) == [
        "first",
        "fourth",
        "second",
        "third",
    ]


@pytest.mark.parametrize(("block", "field"), [(LocalPlatform, "environment"), (Approvers, "enrolled")])
def test_the_api_is_told_that_every_value_of_a_dictionary_is_secret(block: Any, field: str) -> None:
    """Prefect's server hides nothing of a dictionary without the star."""
    assert block.model_json_schema()["secret_fields"] == [f"{field}.*"]


def test_what_decides_keeps_its_text() -> None:
    """A version that is also a variable's value is a version to roll back to; the words beside it are hidden."""
    hold(LocalPlatform(environment={"RELEASE": SecretStr("2026.11.28")}))
    choice = {"version": "2026.11.28", "kind": "redeploy"}
    evidence = {"choice": choice, "position": {"baseline": "2026.11.28"}, "outcome": "failed", "said": ["it is 2026.11.28"], "count": 3}
    assert hide_in(evidence) == {**evidence, "said": ["it is ********"]}


def test_a_log_record_and_its_traceback_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever logs it, with arguments and with an exception; a record that cannot be written is left to logging."""
    hold(LocalPlatform(environment={"TOKEN": SecretStr(VALUE)}))
    logger = logging.getLogger("prefect.some.child")
    with caplog.at_level(logging.INFO, logger="prefect.some.child"):
        logger.addHandler(caplog.handler)
        try:
            logger.info("it is %s", VALUE)
            try:
                int(VALUE)
            except ValueError:
                logger.exception("it failed")
        finally:
            logger.removeHandler(caplog.handler)
    assert "it is ********" in caplog.text
    assert "ValueError: invalid literal for int() with base 10: '********'" in caplog.text
    assert VALUE not in caplog.text


def test_the_bytes_that_an_error_quotes_stay_in_this_process(caplog: pytest.LogCaptureFixture) -> None:
    """In its state, its stored form, its log line and its traceback; a line that no error wrote keeps them."""
    guard()
    import prefect.states  # noqa: PLC0415

    error = OSError("illegal header line: bytearray(b'X-Said: a piece of it')")
    assert prefect.states.to_state_create(Failed(message=str(error))).message == "illegal header line: (bytes)"
    assert b"a piece" not in JSONSerializer().dumps(error)
    with caplog.at_level(logging.INFO):
        logging.getLogger("some").info("it is b'plain'")
        try:
            raise error
        except OSError:
            logging.getLogger("some").exception("failed: %r", error)
    assert "a piece" not in caplog.text
    assert "it is b'plain'" in caplog.text


def test_an_address_of_a_notification_that_cannot_be_parsed_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged while its block is loaded, before its secrets are known."""
    guard()
    with caplog.at_level(logging.INFO, logger="apprise"):
        SlackWebhook(url=f"no address {VALUE}")  # type: ignore[arg-type]
    assert VALUE not in caplog.text
    assert "the address of a notification cannot be used" in caplog.text


def test_states_results_and_events_hold_no_secret() -> None:
    """Those that Prefect words itself, too; the names in them stay."""
    hold(LocalPlatform(environment={"TOKEN": SecretStr(VALUE), "STATE": SecretStr("Completed")}))
    import prefect.states  # noqa: PLC0415

    assert prefect.states.to_state_create(Failed(message=f"OSError: {VALUE}")).message == "OSError: ********"
    assert b"OSError" in (stored := JSONSerializer().dumps(OSError(VALUE)))
    assert VALUE.encode() not in stored
    event = Event(
        event="prefect.task-run.Completed",
        resource={"prefect.resource.id": "x", "prefect.state-message": VALUE, "prefect.state-name": "Completed"},  # type: ignore[arg-type]
        payload={"validated_state": {"name": "Completed", "message": f"it is {VALUE}"}},
    )
    hidden = borders._hidden_event(event)
    assert VALUE not in hidden.model_dump_json()
    assert hidden.payload["validated_state"]["name"] == hidden.resource["prefect.state-name"] == "Completed"
    assert event.payload["validated_state"]["message"] == f"it is {VALUE}"


@given(ANY_TEXT)
def test_whatever_a_run_says_to_the_server_is_text_that_a_database_takes(text: str) -> None:
    """States that Prefect words itself, sentences of events, log records and tracebacks: no NUL, no lone surrogate, no end missing."""
    guard()
    import prefect.states  # noqa: PLC0415

    event = Event(event="x", resource={"prefect.resource.id": "x"}, payload={"message": text})  # type: ignore[arg-type]
    error = ValueError(text)
    record = logging.getLogger("some").makeRecord("some", logging.ERROR, "", 1, "%s", (text,), (ValueError, error, None))
    trace = record.exc_text or logging.Formatter().formatException((ValueError, error, None))
    message = prefect.states.to_state_create(Failed(message=text)).message
    for told in (message or "", borders._hidden_event(event).payload["message"], record.getMessage(), trace):
        assert "\x00" not in told
        assert "\x1b" not in told
        assert len(told.encode()) < 4 * borders.LOGGED_LIMIT


def test_every_page_that_a_run_publishes_is_one_whose_words_are_escaped() -> None:
    """States, events, logs and the record pass borders that clean; a page is a text of its own: who publishes one names its test here."""
    found = {
        str(path.relative_to(ROOT))
        for room in ("blocks", "flows", "tasks")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and re.search(r"(?<!delete)(?<!remove)_artifact$|publish_markdown$", ast.unparse(node.func))
    }
    assert found == {
        "blocks/script/artifact.py",  # tests/blocks/script/test_progress_artifact.py
        "tasks/record/artifacts.py",  # publish_markdown, by which the next six publish
        "tasks/record/report.py",  # tests/rules/record/test_markdown.py
        "tasks/documentation/page.py",  # tests/rules/documentation/test_page.py
        "tasks/record/metrics_report.py",  # tests/rules/metrics/test_report.py
        "tasks/record/expected.py",  # tests/tasks/record/test_expected.py
        "tasks/evidence/rehearsals.py",  # tests/rules/evidence/test_rehearsal.py
        "flows/retention.py",  # tests/flows/test_retention_page.py
        "tasks/approval/ticks.py",  # tests/rules/approval/test_ticks.py
        "flows/freeze.py",  # tests/flows/test_freeze_page.py
        "flows/lifecycle/quietest.py",  # numbers and windows; the service's name is a pattern of the plan
    }
