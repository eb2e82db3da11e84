"""The command line as a whole: what it lists, what it loads, and what it ends with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import get_client
from prefect.states import Completed, Crashed, Failed, Pending, Running, Scheduled, Suspended

from blocks.errors import BadInput, Refused
from flows.cli import COMMANDS, main
from flows.commands import _terminal, cancel, history, rollback, run, status
from tasks.lifecycle import clock, strays
from tasks.lifecycle.lock import OPEN
from tasks.record.journal import append_entry
from tasks.rules.lifecycle.ending import STATE_NAMES
from tests.tasks.server_runs import keeper_worked, new_run, nothing

HEAVY = ("prefect", "pydantic", "rich", "httpx", "aiohttp", "yaml", "numpy", "kubernetes", "great_expectations")
on_server = [pytest.mark.server, pytest.mark.usefixtures("server")]
ROOT = Path(__file__).parents[2]
PLAN = ROOT / "examples/guestbook/shipway.yaml"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run `shipway` in this process: exit code and both outputs."""
    try:
        code = main(list(words))
    except SystemExit as end:
        code = int(str(end.code))
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    """`shipway --help` is quick, because nothing is loaded before a command runs."""
    code = f"""
import contextlib, io, sys
from flows.cli import main
with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
    main(["--help"])
print([name for name in {HEAVY} if name in sys.modules], [name for name in {COMMANDS} if f"\\n    {{name}}" not in shown.getvalue()])
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[] []"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage and a sentence, with exit code 0."""
    code, out, _ = said(capsys, command, "--help")
    assert code == 0
    assert f"usage: shipway {command}" in out
    assert len(out.splitlines()) > 3


@pytest.mark.parametrize("words", [["deploy"], [], ["release"], ["release", "plan.yaml"], ["local", "explode"]], ids=" ".join)
def test_words_that_mean_nothing_end_with_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown or missing words are bad input, with the usage on stderr."""
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("usage: shipway")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the words for an empty home; the environment names no server."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "SHIPWAY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    return ["--home", str(tmp_path / "home")]


def test_a_bad_plan_shows_all_its_problems_and_starts_nothing(
    tmp_path: Path, nowhere: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Code 2 before any server is asked: there is none here."""
    plan = tmp_path / "shipway.yaml"
    plan.write_text(PLAN.read_text().replace("service: guestbook", "service: on").replace("quorum: 1", "quorum: 7"))
    code, out, err = said(capsys, "release", str(plan), "--version", "1.1", "--reason", "x", *nowhere)
    assert (code, out) == (2, "")
    assert len([line for line in err.splitlines() if line.startswith(f"{plan}:")]) >= 2
    assert not (tmp_path / "home").exists()


def test_a_plan_that_is_not_there_is_said_plainly(tmp_path: Path, nowhere: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Code 2 and what to give."""
    code, _, err = said(capsys, "release", str(tmp_path / "absent.yaml"), "--version", "1.1", "--reason", "x", *nowhere)
    assert code == 2
    assert "Give the path of a plan file" in err


@pytest.mark.slow
def test_without_a_server_every_command_says_how_to_start_one(tmp_path: Path, nowhere: list[str]) -> None:
    """Code 2 and one sentence each, with no trace and no server started on the way; one process, for it loads Prefect."""
    commands = [
        ["history"],
        ["status"],
        ["release", str(PLAN), "--version", "1.1", "--reason", "x"],
        ["rollback", str(PLAN), "--reason", "x"],
        ["approve", "guestbook", "--as", "anna", "--code", "12345678"],
        ["approvers", "list"],
    ]
    code = f"from flows.cli import main; print([main([c[0], *{nowhere}, *c[1:]]) for c in {commands}])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == str([2] * len(commands)), ended.stderr
    assert ended.stderr.count("shipway up") == len(commands)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("words", "parameters"),
    [
        (["verify"], {"version": "", "environment": "production"}),
        (["verify", "--environment", "staging", "--version", "1.1"], {"version": "1.1", "environment": "staging"}),
        (["pre-deploy", "--version", "1.1"], {"version": "1.1"}),
        (["staging", "--version", "1.1", "--reason", "try"], {"version": "1.1", "reason": "try"}),
        (["production", "--version", "1.1", "--reason", "go", "--as", "rita"], {"version": "1.1", "reason": "go", "requester": "rita"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_each_phase_is_asked_for_with_its_own_parameters(words: list[str], parameters: dict[str, str]) -> None:
    """No phase gets a parameter that it does not know: the server would refuse the run."""
    asked = run.parameters_of(_parsed(run, words[0], str(PLAN), *words[1:]))
    assert asked == {"plan": str(PLAN), **parameters}


@pytest.mark.parametrize(("words", "field"), [(["staging", "--reason", "x"], "--version"), (["production", "--version", "1"], "--reason")])
def test_a_phase_says_which_word_it_misses(words: list[str], field: str) -> None:
    """The message names the option."""
    with pytest.raises(BadInput, match=field):
        run.parameters_of(_parsed(run, words[0], str(PLAN), *words[1:]))


async def recorded(run: str, service: str, outcome: str, **opened: Any) -> None:
    """Write the record of a release, which has ended if it has an outcome."""
    await append_entry(run, "It was asked for", kind="opened", evidence={"flow": "release", "version": "1.0", **opened})
    await append_entry(run, "It was reviewed", kind="review", evidence={"service": service})
    if outcome:
        await append_entry(run, "It ended", kind="closed", evidence={"outcome": outcome})


class TestOnTheServer:
    """The run history, as the terminal shows it."""

    pytestmark = on_server

    @staticmethod
    async def runs(service: str) -> None:
        """Make a history: one deployed, one rolled back, one refused, one open."""
        states: list[tuple[Any, str]] = [(Completed(), "deployed"), (Failed(), "rolled_back"), (Failed(), "refused"), (Running(), "")]
        async with get_client() as client:
            for state, outcome in states:
                tags = ["shipway:release", f"service:{service}", *([f"outcome:{outcome}"] if outcome else [])]
                run = await client.create_flow_run(nothing, tags=tags, name=f"{service} {outcome}")
                await client.set_flow_run_state(run.id, Running(), force=True)
                await client.set_flow_run_state(run.id, state, force=True)
                await recorded(str(run.id), service, outcome)

    async def test_the_history_believes_the_record_and_not_a_tag(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Whoever holds the API's password can tag a run as deployed; what is said is what its record says."""
        service = f"svc-{uuid4().hex[:8]}"
        async with get_client() as client:
            for outcome in ("rolled_back", ""):
                run = await client.create_flow_run(nothing, tags=["shipway:release", f"service:{service}", "outcome:deployed"])
                if outcome:
                    await recorded(str(run.id), service, outcome)
            assert await history._history(client, _parsed(history, "--service", service, "--json")) == 0
        past = json.loads(capsys.readouterr().out)
        assert sorted(one["outcome"] for one in past["runs"]) == ["no_record", "rolled_back"]
        assert past["releases"] == {"started": 1, "deployed": 0, "unknown": 1}  # what cannot be known is not in the rate

    async def test_the_history_counts_the_runs_that_the_server_does_not_list_any_more(self, capsys: pytest.CaptureFixture[str]) -> None:
        """One that was deleted, and one that lost its tags; in words and in JSON."""
        service = f"svc-{uuid4().hex[:8]}"
        async with get_client() as client:
            gone = []
            for tags in ([], ["shipway:release", f"service:{service}"]):
                run = await client.create_flow_run(nothing, tags=tags)
                await append_entry(str(run.id), "It was asked for", kind="opened", evidence={"flow": "release"})
                await append_entry(str(run.id), "Its inputs", kind="review", evidence={"service": service})
                await append_entry(str(run.id), "It ended", kind="closed", evidence={"outcome": "failed"})
                gone.append(str(run.id))
            await client.delete_flow_run(UUID(gone[1]))
            assert await history._history(client, _parsed(history, "--service", service)) == 0
            shown = capsys.readouterr().out
            assert await history._history(client, _parsed(history, "--service", service, "--json")) == 0
        assert "The server does not list 2 of these: they were deleted, or lost their tags" in shown
        assert all(run in shown for run in gone)
        rows = json.loads(capsys.readouterr().out)["runs"]
        assert {(one["id"], one["outcome"], one["listed"]) for one in rows} == {(run, "failed", False) for run in gone}

    @pytest.mark.slow
    async def test_the_history_shows_outcomes_and_the_success_rate(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Refused and open releases do not count."""
        service = f"svc-{uuid4().hex[:8]}"
        await self.runs(service)
        async with get_client() as client:
            assert await history._history(client, _parsed(history, "--service", service)) == 0
        shown = capsys.readouterr().out
        assert [word for word in ("deployed", "rolled back", "refused", "open") if word not in shown] == []
        assert "1 of 2 releases to production that finished were deployed (50%)" in shown
        assert len(shown.splitlines()) == 6

    @pytest.mark.slow
    async def test_the_history_is_filtered_by_what_the_records_say(self, capsys: pytest.CaptureFixture[str]) -> None:
        """And as CSV; a run that was deleted is listed on, and said, and a run without a record is shown if nothing more is asked."""
        service = f"svc-{uuid4().hex[:8]}"
        await self.runs(service)
        async with get_client() as client:
            fix = await client.create_flow_run(nothing, tags=["shipway:release", f"service:{service}"])
            await recorded(str(fix.id), service, "failed", kind="fix", because_of="x")
            await client.delete_flow_run(fix.id)
            bare = await client.create_flow_run(nothing, tags=["shipway:release", f"service:{service}", "version:=2"])
            shown = {}
            for words in (["--kind", "fix"], ["--outcome", "open"], ["--who", "x"], ["--since", "1d"], ["--until", "1d"], ["--limit", "2"]):
                assert await history._history(client, _parsed(history, "--service", service, "--json", *words)) == 0
                shown[words[0]] = json.loads(capsys.readouterr().out)
            assert await history._history(client, _parsed(history, "--service", service, "--csv")) == 0
            header, *lines = capsys.readouterr().out.splitlines()
            assert await history._history(client, _parsed(history, "--service", service)) == 0
        assert [(one["id"], one["listed"]) for one in shown["--kind"]["runs"]] == [(str(fix.id), False)]
        assert {one["id"] for one in shown["--outcome"]["runs"]} > {str(bare.id)}
        assert (shown["--who"]["runs"], shown["--until"]["runs"], len(shown["--since"]["runs"])) == ([], [], 6)
        assert ([one["id"] for one in shown["--limit"]["runs"]], shown["--limit"]["more"]) == ([str(bare.id), str(fix.id)], True)
        assert header.startswith("id,flow,service,version,outcome,requester")
        assert [line for line in lines if line.startswith(f"{bare.id},release,{service},'=2,open,")]
        assert (
            f"The server does not list 1 of these: they were deleted, or lost their tags. Find out by whom: {fix.id}"
            in capsys.readouterr().out
        )

    async def test_the_status_shows_what_waits_and_how_to_answer(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Code 5 where people are asked."""
        await keeper_worked()
        async with get_client() as client:
            run = await client.create_flow_run(nothing, tags=[OPEN], name="guestbook 1.1", state=Suspended())
            assert await status._status(client, _parsed(status)) == 5
            await client.delete_flow_run(run.id)
        shown = capsys.readouterr().out
        assert f"shipway approve {str(run.id)[:8]}" in shown
        assert f"/runs/flow-run/{run.id}" in shown
        assert "The keeper last did its work" in shown

    @pytest.mark.slow
    async def test_history_and_status_are_read_by_programs(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The same facts as one JSON document each, with the same codes."""
        service = f"svc-{uuid4().hex[:8]}"
        await self.runs(service)
        await keeper_worked()
        async with get_client() as client:
            run = await client.create_flow_run(nothing, tags=[OPEN], name="guestbook 1.1", state=Suspended())
            assert await history._history(client, _parsed(history, "--service", service, "--json")) == 0
            past = json.loads(capsys.readouterr().out)
            assert await status._status(client, _parsed(status, "--json")) == 5
            await client.delete_flow_run(run.id)
        now = json.loads(capsys.readouterr().out)
        assert past["releases"] == {"started": 2, "deployed": 1, "unknown": 0}
        assert {one["outcome"] for one in past["runs"]} == {"deployed", "rolled_back", "refused", "open"}
        (waiting,) = [one for one in now["runs"] if one["id"] == str(run.id)]
        assert (waiting["name"], waiting["waiting"], waiting["unclosed"]) == ("guestbook 1.1", True, False)
        assert now["keeper"]["missing"] is False

    async def test_the_status_fails_if_the_keeper_is_missing(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What died or waits for a time goes unattended then; that is said, and scripts see code 1."""
        await keeper_worked()
        monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(seconds=61))
        async with get_client() as client:
            assert await status._status(client, _parsed(status)) == 1
        assert "The keeper last did its work 6" in capsys.readouterr().err

    async def test_a_run_that_died_is_shown_and_cancelled_as_one_that_is_not_closed(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Its final state is not its end; the order to cancel stands until the keeper carries it out."""
        await keeper_worked()
        run = await new_run(tags=(OPEN,), state=Crashed())
        async with get_client() as client:
            await status._status(client, _parsed(status))
            assert await cancel._cancel(client, _parsed(cancel, run)) == 0
            found = await client.read_flow_run(UUID(run))
            await client.delete_flow_run(UUID(run))
        assert "this state is not final" in capsys.readouterr().out
        assert found.state is not None
        assert found.state.name == "Cancelling"

    async def test_who_cancels_a_release_that_ends_in_this_moment_hears_how_it_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The server then changes nothing, so nothing is rolled back."""
        run = await new_run(state=Running())

        async def ends(client: Any, found: Any) -> None:
            await client.set_flow_run_state(found.id, Completed(name="Deployed"))

        monkeypatch.setattr(strays, "cancel_stray", ends)  # what is done between the reading and the request
        async with get_client() as client:
            with pytest.raises(Refused, match="has ended: Deployed"):
                await cancel._cancel(client, _parsed(cancel, run))

    async def test_who_cancels_a_release_that_waits_hears_that_it_is_cancelled(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The server cancels what holds no process at once."""
        run = await new_run(state=Scheduled())
        async with get_client() as client:
            assert await cancel._cancel(client, _parsed(cancel, run)) == 0
        assert "is cancelled; it had not begun" in capsys.readouterr().out

    async def test_a_run_without_a_record_that_never_began_is_shown_and_cancelled_at_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        """`shipway down` would wait for it, so people must see which it is."""
        await keeper_worked()
        run = await new_run(tags=("shipway",), state=Pending())
        async with get_client() as client:
            await status._status(client, _parsed(status))
            shown = capsys.readouterr().out
            name = (await client.read_flow_run(UUID(run))).name
            assert await cancel._cancel(client, _parsed(cancel, run)) == 0
            found = await client.read_flow_run(UUID(run))
            await client.delete_flow_run(UUID(run))
        assert f"{run[:8]}  nothing {name}" in shown
        assert f"nothing {name} is cancelled" in capsys.readouterr().out
        assert found.state_name == "Cancelled"


def _parsed(command: Any, *words: str) -> Any:
    import argparse  # noqa: PLC0415

    parser = argparse.ArgumentParser()
    command.configure(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(("words", "environment"), [([], "production"), (["--environment", "production/eu"], "production/eu")])
def test_an_environment_is_any_that_a_plan_may_have(words: list[str], environment: str) -> None:
    """The flow knows the plan's targets; the terminal takes what can be one."""
    assert _parsed(rollback, str(PLAN), "--reason", "x", *words).environment == environment
    production = _parsed(run, "production", str(PLAN), "--version", "1", "--reason", "x", *words)
    assert run.parameters_of(production).get("environment", "production") == environment


@pytest.mark.parametrize("name", ["prod", "production/", "production/EU", "production/eu--west", "staging/eu", ""])
def test_what_can_be_no_environment_is_refused_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is started for a slip of the pen."""
    with pytest.raises(SystemExit):
        _parsed(rollback, str(PLAN), "--reason", "x", "--environment", name)
    assert "production/NAME for a target" in capsys.readouterr().err


def test_every_final_state_of_a_release_has_an_exit_code() -> None:
    """A release that ends as foreseen is not an unexpected error, however it ends."""
    assert set(STATE_NAMES.values()) <= set(_terminal.EXIT)
