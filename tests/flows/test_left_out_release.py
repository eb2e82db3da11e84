"""A release over four hosts of which one is left out: by people with codes, across a crash, and over real sshds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.flows.gatehouse import answer, enrol, go_on, post, question
from tests.flows.harness import FIRST, check_closed
from tests.flows.keeping import keep
from tests.flows.test_hosts_release import HostsStage, check_runs, stage
from tests.hosts_example import HELD, PRODUCTION, SSHD, STAGING

__all__ = ["stage"]
pytestmark = [
    pytest.mark.server,
    pytest.mark.faults,
    pytest.mark.timeout(600),
    pytest.mark.skipif(SSHD is None, reason="this machine has no sshd"),
]
FULL = """if [ "$1 $2" = "deploy 1.1" ] && [ -f full ]; then
    echo "$*" >>calls
    ./shop.sh deploy "" >/dev/null 2>&1  # it stops what runs first, as scripts do: then nothing serves there
    echo "no space left on device"
    exit 4
fi
"""


def fill(stage: HostsStage, host: str) -> Path:
    """Let each deployment of 1.1 on a host fail while a file is there."""
    place = stage.hosts.folder / host
    (place / "held.sh").write_text(HELD.replace("#!/bin/sh\n", f"#!/bin/sh\n{FULL}"))
    (place / "full").touch()
    return place / "full"


def make(stage: HostsStage, version: str) -> None:
    """Lay a version out on every host, which is the first one by another name."""
    for host in (*STAGING, *PRODUCTION):
        releases = stage.hosts.folder / host / "releases"
        shutil.copytree(releases / "1.1", releases / version)
        program = releases / version / "quotes.py"
        program.write_text(program.read_text().replace("1.1", version))
    stage.tag(version)


async def test_a_release_goes_on_without_a_host_that_people_left_out_and_the_next_one_deploys_it(stage: HostsStage, server: object) -> None:
    """A code for another answer counts for nothing; killed right after the decision it goes on by the record, and says it at its end."""
    stage.tag("1.1")
    host, people = PRODUCTION[2], await enrol(server)
    name, full = f"{host}:{stage.hosts.port}", fill(stage, host)
    plan = stage.plan(approval=people.section(), on_script_failure={"then": "ask"})
    run = await stage.release("1.1", plan=plan)
    await stage.runner.run(run, "release")
    assert (await answer(stage, run, await people.form(people.names[0], run))).state == "Suspended"
    key, text = await question(run)
    assert key.startswith("script-host-production-deploy-on-127-0-0-13-")
    assert "Skip to let the release of 1\\.1 go on without" in text
    assert "no space left on device" in text

    approves = await people.code(people.names[0], run)
    form = await people.form(people.names[0], run, decision="skip", code=approves)
    held = await answer(stage, run, form)
    assert held.state == "Suspended"
    refused = [entry.why for entry in held.entries if entry.name.endswith(" answer 1") and entry.kind == "refused"]
    assert refused == [f"the code of {people.names[0]} does not answer the challenge to skip this question"]
    assert stage.hosts.calls(host) == ["deploy 1.1"]

    await post(run, await people.form(people.names[0], run, decision="skip"))
    gate = key.rpartition("-")[0]
    await stage.runner.run(run, "release", kill_at=f"entry gate production {gate} decision")
    assert await keep(run, settle=stage.settle)
    ran = await go_on(stage, run)
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")
    assert ran.message.startswith(f"1.1 serves on 3 of 4 hosts; {name} was left out by {people.names[0]}. ")
    others = [one for one in PRODUCTION if one != host]
    assert [stage.hosts.calls(one) for one in (*STAGING, *others)] == [["deploy 1.1"]] * 4
    assert stage.hosts.calls(host) == ["deploy 1.1"]
    position = await stage.platform("production").current()
    assert (position["baseline"], position["canary"], position["ready"], position["owner"]) == ("1.1", None, {"1.1": True}, None)
    assert "trouble" not in position
    page = Path(str(getattr(server, "home"))) / "storage" / "records" / run / "deployment.md"  # noqa: B009 - any server of a test
    assert "is left out in production" in page.read_text()
    assert "serves on 3 of 4 hosts" in page.read_text()

    full.unlink()
    make(stage, "1.3")
    ran = await stage.release_through("1.3")
    assert ran.state == "Deployed", ran.message
    assert "left out" not in ran.message
    await check_closed(stage, ran, outcome="deployed")
    await check_runs(stage, "1.3")
    assert stage.hosts.calls(host) == ["deploy 1.1", "deploy 1.3"]


async def test_a_release_that_left_a_host_out_and_fails_later_is_rolled_back_on_that_host_too(stage: HostsStage, server: object) -> None:
    """People leave out one of the first two hosts, and reject at the next that fails: all four are as before."""
    stage.tag("1.1")
    people, left, fails = await enrol(server), PRODUCTION[1], PRODUCTION[2]
    for host in (left, fails):
        fill(stage, host)
    plan = stage.plan(approval=people.section(), on_script_failure={"then": "ask"})
    run = await stage.release("1.1", plan=plan)
    await stage.runner.run(run, "release")
    assert (await answer(stage, run, await people.form(people.names[0], run))).state == "Suspended"
    assert (await answer(stage, run, await people.form(people.names[0], run, decision="skip"))).state == "Suspended"
    key, _ = await question(run)
    assert key.startswith("script-host-production-deploy-on-127-0-0-13-")
    position = await stage.platform("production").current()
    assert (position["percent"], stage.hosts.calls(left)) == (75, ["deploy 1.1"])  # the fourth host was in the batch of the third one
    ran = await answer(stage, run, await people.form(people.names[1], run, decision="reject"))
    assert ran.state == "RolledBack", ran.message
    assert "serves on" not in ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    await check_runs(stage, FIRST)
    assert [stage.hosts.calls(host) for host in PRODUCTION] == [["deploy 1.1", f"deploy {FIRST}"]] * 4
