"""What is kept of rehearsals: beside the key, the newest of each method; and by what a platform is rolled back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from blocks.errors import BadInput, Refused
from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.key_file import create_key, key_path
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.local.platform import LocalPlatform
from blocks.script.hosts.platform import ScriptHosts
from blocks.script.platform import ScriptPlatform
from blocks.script.settings import Scripts
from tasks.evidence.rehearsals import FOLDER, MOST, judge_kept, keep_rehearsal, method_of, own_strategy, read_rehearsals
from tasks.lifecycle.clock import now
from tasks.rules.evidence.rehearsal import Method, differences_of
from tasks.rules.plan.targets import Place
from tests.rules.evidence.test_checklist import PLAN
from tests.rules.evidence.test_rehearsal import METHOD, PLACE, rehearsal


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a key folder of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())


def test_the_newest_rehearsal_of_each_method_is_kept() -> None:
    """Also one that says no; kept again, as after a restart, it is there once, and an older one does not take its place."""
    other = rehearsal(method=METHOD.model_copy(update={"strategy": "rolling"}), run="other")
    newer, older = rehearsal(outcome="failed", run="newer", days_ago=1), rehearsal(run="older", days_ago=3)
    for one in (older, other, newer, newer, older):
        keep_rehearsal(one)
    assert {one.run for one in read_rehearsals("guestbook")} == {"newer", "other"}


def test_no_more_than_a_few_methods_are_kept() -> None:
    """The oldest are left out."""
    for number in range(MOST + 5):
        keep_rehearsal(rehearsal(method=Method(kind="local", shares=(number,)), days_ago=100 - number, run=str(number)))
    assert [one.run for one in read_rehearsals("guestbook")] == [str(number) for number in range(MOST + 4, 4, -1)]


def test_one_from_when_the_clock_was_ahead_is_replaced() -> None:
    """Each later one would be older, and none would count until then."""
    keep_rehearsal(rehearsal(days_ago=-1000, run="ahead"))
    keep_rehearsal(rehearsal(run="now"))
    assert [one.run for one in read_rehearsals("guestbook")] == ["now"]


async def test_a_file_that_others_wrote_counts_as_no_rehearsal() -> None:
    """The line does not pass, and says which file it is; the next rehearsal replaces it."""
    keep_rehearsal(rehearsal())
    path = kept_path(FOLDER, "guestbook")
    path.write_bytes(path.read_bytes()[:-9] + b"forged___")
    with pytest.raises(Refused):
        read_rehearsals("guestbook")
    outcome, reason = await judge_kept(PLAN, PLACE, LocalPlatform(service="guestbook", command=["true"]), within_days=7)
    assert outcome == "no_data"
    assert str(path) in reason
    keep_rehearsal(rehearsal())
    assert len(read_rehearsals("guestbook")) == 1


async def test_a_kept_rehearsal_of_the_method_of_production_passes() -> None:
    """By what production's platform is now."""
    platform = LocalPlatform(service="guestbook", command=["true"])
    shares = tuple(step.percent for step in PLACE.steps)
    keep_rehearsal(rehearsal(method=await method_of(PLACE, platform, shares=shares)).model_copy(update={"at": now() - timedelta(hours=1)}))
    assert (await judge_kept(PLAN, PLACE, platform, within_days=7))[0] == "passed"
    assert (await judge_kept(PLAN, PLACE, platform, within_days=0.01))[0] == "no_data"


SCRIPTS = Place("production", "script/shop", "production.platform", 60)


def script(folder: Path, *, program: str = "deploy.sh", rollback: Sequence[str] = ()) -> ScriptPlatform:
    """Give a platform of scripts."""
    words = {name: [f"./{program}", name, "{version}"] for name in ("deploy", "verify")}
    return ScriptPlatform(
        service="shop", address="http://127.0.0.1:1", working_directory=str(folder),
        scripts={**words, "status": ["cat", "running"], "rollback": rollback or ["sh", program, "{previous}"]},
    )  # fmt: skip


def hosts(*, rollback: Sequence[str]) -> ScriptHosts:
    """Give a platform of scripts on a host, whose files are not read."""
    commands = {"deploy": ["./deploy.sh"], "status": ["./status.sh"], "verify": ["./verify.sh"], "rollback": list(rollback)}
    return ScriptHosts.model_construct(scripts=Scripts.model_validate(commands), service="shop")


async def test_other_scripts_are_another_method_wherever_they_lie(tmp_path: Path) -> None:
    """By their content."""
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        (folder / "deploy.sh").write_text("echo 1")
    (second / "other.sh").write_text("echo 1")
    one, two, three = [
        await method_of(SCRIPTS, script(folder, program=program), shares=(100,))
        for folder, program in ((first, "deploy.sh"), (second, "deploy.sh"), (second, "other.sh"))
    ]
    assert one == two == three
    assert (one.kind, one.strategy) == ("script", "rolling")
    (second / "deploy.sh").write_text("echo 2")
    assert await method_of(SCRIPTS, script(second), shares=(100,)) != one
    with pytest.raises(BadInput, match="does not exist"):
        await method_of(SCRIPTS, script(tmp_path), shares=(100,))


@pytest.mark.parametrize(
    "other",
    [
        ["bash", "-c", "true"],
        ["bash", "-c", "true", "./deploy.sh", "{previous}"],
        ["bash", "./deploy.sh", "{version}"],
        ["bash", "./deploy.sh", "{previous}", "--dry-run"],
        ["bash", "-n", "./deploy.sh", "{previous}"],
        ["true", "./deploy.sh", "{previous}"],
    ],
)
async def test_a_rollback_by_other_words_is_another_method(tmp_path: Path, other: list[str]) -> None:
    """What an interpreter runs is in its words, and a script can be told to do nothing; on hosts the words are all that is known."""
    (tmp_path / "deploy.sh").write_text("echo 1")
    known = ["bash", "./deploy.sh", "{previous}"]
    for made in (partial(script, tmp_path), hosts):
        one, same, changed = [await method_of(SCRIPTS, made(rollback=words), shares=(100,)) for words in (known, list(known), other)]
        assert one == same
        assert changed != one
        assert [said for said in differences_of(one, changed) if "rollback" in said]
        assert "{previous}" not in str(one.programs), "words may hold what a record must not show"


async def test_on_kubernetes_the_workload_and_what_splits_the_requests_count_and_their_names_do_not() -> None:
    """Staging has its own names."""
    place = Place("production", "kubernetes/shop", "production.platform", 60)
    one, two, without = [
        await method_of(place, KubernetesPlatform(workload=name, route=route, strategy="canary"), shares=(100,))
        for name, route in (("a", "a"), ("b", "b"), ("a", ""))
    ]
    assert one == two
    assert (one.strategy, one.through, without.through) == ("canary", ("Deployment", "HTTPRoute"), ("Deployment",))


def test_the_strategy_of_production_is_that_of_the_plan_or_of_its_platform() -> None:
    """A platform that has one way only has none to choose."""
    place = Place("production", "kubernetes/shop", "production.platform", 60)
    cluster = KubernetesPlatform(workload="shop", strategy="blue-green")
    assert own_strategy(place, cluster) == "blue-green"
    assert own_strategy(Place("production", "kubernetes/shop", "x", 60, "rolling"), cluster) == "rolling"
    assert own_strategy(place, LocalPlatform(service="shop", command=[sys.executable])) is None
