"""By which plan a rollback on demand goes, from the kept files to the record: no edit of the plan file stops it or sends it elsewhere."""

# ruff: noqa: F811 - a fixture that is imported is the name of a parameter, too
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from blocks.errors import BadInput
from blocks.key_folder.kept_files import kept_names, kept_path, write_kept
from blocks.key_folder.owners import Owner, claim, owner_file
from blocks.key_folder.places import Kept, keep_place
from flows import rollback
from flows.lifecycle import context
from flows.lifecycle.acting import acting_for
from flows.lifecycle.context import Phase
from flows.rollout import others
from flows.rollout.others import faults_of_others
from flows.rollout.plan_of_rollback import begin_rollback, how_it_differs
from tasks.evidence import acted_plans
from tasks.evidence.acted_plans import FOLDER, WHAT, files_of, keep_plan
from tasks.evidence.inputs import read_plan
from tasks.record.without_key import rolling_back
from tasks.rules.plan.targets import place_of
from tasks.rules.rollout.migrations import Here
from tests.flows.harness import plan_of
from tests.flows.test_rollback_by_record import RUN, asked_for, lose_records, storage  # noqa: F401 - fixtures
from tests.tasks.conftest import offline  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("offline")


class Desk:
    """A plan file, and who reads it."""

    def __init__(self, folder: Path) -> None:
        """Write it as it is released."""
        self.file = folder / "shipway.yaml"
        self.write("local/shop")

    def write(self, production: str, **changes: Any) -> None:
        """Edit it."""
        usual = plan_of("shop")
        plan = {**usual, **changes, "production": {**usual["production"], "platform": production}}
        self.file.write_text(yaml.safe_dump(plan))

    async def act(self, environment: str = "production") -> None:
        """Let a release act by it."""
        taken = await read_plan(str(self.file))
        await keep_plan(taken, place_of(taken.parsed(), environment), given=str(self.file))

    async def begin(self, *, environment: str = "production", as_it_is: bool = False) -> Phase:
        """Begin the rollback in a process of its own; gives what it goes by."""
        with rolling_back(), acting_for(RUN):
            phase, _ = await begin_rollback(RUN, str(self.file), environment=environment, as_it_is=as_it_is)
            return phase

    async def goes_to(self, **how: Any) -> str:
        """Say where it goes in production."""
        return (await self.begin(**how)).plan.production.platform  # type: ignore[union-attr]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: Path) -> Desk:
    """Let releases read the file each time: the storage remembers nothing, as if others had removed it."""
    del storage

    async def take(path: str, *, key: str) -> Any:
        del key
        return await read_plan(path)

    async def load(name: str, **_: Any) -> Any:
        if name != "local/renamed":
            raise BadInput("it is gone", field=name, fix="x")
        return name

    monkeypatch.setattr(context, "take_plan", take)
    monkeypatch.setattr(acted_plans, "load_platform", load)
    return Desk(tmp_path)


@pytest.mark.parametrize("edit", ["broken", "gone", "another block", "another service"])
async def test_a_rollback_goes_where_the_last_release_acted_whatever_the_file_says_by_now(desk: Desk, edit: str) -> None:
    """The record says how it differs, and so does the end."""
    await desk.act()
    edits = {
        "broken": lambda: desk.file.write_text("service: [\n"),
        "gone": desk.file.unlink,
        "another block": lambda: desk.write("local/evil"),
        "another service": lambda: desk.write("local/evil", service="evil"),
    }
    edits[edit]()
    phase = await desk.begin()
    assert (phase.plan.service, phase.plan.production.platform) == ("shop", "local/shop")  # type: ignore[union-attr]
    assert "The rollback goes by the plan of shop as a release had it" in await how_it_differs(phase)


@pytest.mark.parametrize("edit", ["as it was", "limits", "staging"])
async def test_an_edit_that_changes_no_place_counts(desk: Desk, edit: str) -> None:
    """As checks that are repaired right before the rollback; nothing is said of it."""
    await desk.act()
    changes = {"limits": {"rollback": {"watch_seconds": 7}}, "staging": {"staging": {"platform": "local/other"}}}
    desk.write("local/shop", **changes.get(edit, {}))
    phase = await desk.begin()
    assert phase.plan.rollback.watch_seconds == (7 if edit == "limits" else 0.3)
    assert await how_it_differs(phase) == ""


async def test_a_person_may_let_the_file_count(desk: Desk) -> None:
    """Who has moved production by hand; a broken file cannot count."""
    await desk.act()
    desk.write("local/moved")
    assert await desk.goes_to(as_it_is=True) == "local/moved"


async def test_a_broken_file_is_not_refused_because_it_was_to_count(desk: Desk) -> None:
    """The flag only says which of two plans."""
    await desk.act()
    desk.file.write_text("[")
    assert await desk.goes_to(as_it_is=True) == "local/shop"


async def test_a_rollback_that_began_keeps_its_plan(desk: Desk, storage: Path) -> None:
    """The storage lost it, the file was broken or edited since, and what releases kept is gone: it goes on by its first step's plan."""
    assert await desk.goes_to() == "local/shop"
    for content in ("[", yaml.safe_dump({**plan_of("shop"), "service": "evil"})):
        lose_records(storage)
        desk.file.write_text(content)
        assert await desk.goes_to() == "local/shop"


async def test_a_file_that_no_release_acted_by_is_as_it_is(desk: Desk) -> None:
    """Its problems are named; the other sections' releases say nothing."""
    await desk.act("staging")
    assert await desk.goes_to() == "local/shop"
    desk.file.write_text("[")
    kept_path("begun", RUN).unlink()
    with pytest.raises(BadInput, match="is not a plan"):
        await desk.begin()
    assert (await desk.begin(environment="staging")).plan.service == "shop"


async def test_staging_alone_does_not_move_the_rollback_of_production(desk: Desk) -> None:
    """It asks no one, so its plan says nothing of production."""
    await desk.act()
    desk.write("local/evil")
    await desk.act("staging")
    assert await desk.goes_to() == "local/shop"


async def test_releases_that_act_where_the_file_says_are_stopped_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """To stop one too many does no harm."""
    stopped: list[str] = []

    async def there(plan: Any, environments: list[str], *, besides: str) -> dict[str, Any]:
        del besides
        return {f"{environment} of {place_of(plan, environment).platform}": [] for environment in environments}

    async def stop(runs: list[str], *, by: str) -> list[str]:
        del by
        stopped.extend(runs)
        return runs

    monkeypatch.setattr(rollback, "releases_there", there)
    monkeypatch.setattr(rollback, "request_stop", stop)
    await desk.act()
    desk.write("local/new")
    with rolling_back(), acting_for(RUN):
        phase, file = await begin_rollback(RUN, str(desk.file), environment="production", as_it_is=False)
        await rollback._stop_releases(phase, ["production"], asked_for(), file=file)
    assert stopped == ["production of local/new", "production of local/shop"]


async def test_of_many_checkouts_of_one_place_the_newest_are_kept(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan of another place is never among those that are forgotten: whoever releases elsewhere removes no one's."""
    monkeypatch.setattr(acted_plans, "MOST_OF_ONE_PLACE", 2)
    await desk.act()
    for number in range(4):
        desk.file = tmp_path / f"{number}.yaml"
        desk.write("local/eve")
        await desk.act()
    kept = {Path(one.given).name for one in await acted_plans.acted_plans("production")}
    assert kept == {"shipway.yaml", "2.yaml", "3.yaml"}


async def test_a_renamed_block_is_not_another_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leads to what the last release acted on, so the file counts; a block that cannot be asked is another one."""
    await desk.act()
    desk.write("local/renamed")

    async def kept_for(block: str, _: Any) -> str:
        assert block == "local/renamed"
        return "local/shop"

    monkeypatch.setattr(acted_plans, "block_kept_for", kept_for)
    assert await desk.goes_to() == "local/renamed"
    desk.write("local/gone")
    kept_path("begun", RUN).unlink()
    assert await desk.goes_to() == "local/shop"


@pytest.mark.parametrize("fault", ["another key", "another version", "unsafe"])
async def test_a_kept_plan_that_cannot_be_used_stops_no_rollback(desk: Desk, fault: str) -> None:
    """The file counts then."""
    await desk.act()
    (name,) = kept_names(FOLDER)
    path = kept_path(FOLDER, name)
    if fault == "another version":
        write_kept(FOLDER, name, {"service": "shop"}, what=WHAT)
    elif fault == "unsafe":
        path.chmod(0o666)
    else:
        path.write_bytes(b"x")
    desk.write("local/new")
    assert await desk.goes_to() == "local/new"


@pytest.mark.parametrize(
    ("service", "environment", "said"),
    [
        ("shop", "production", ""),
        ("mail", "production", "for production of the service shop alone, so production of mail is not rolled back"),
        ("shop", "staging", "for production of the service shop alone, so staging of shop is not rolled back"),
    ],
)
async def test_a_plan_of_others_does_not_roll_back_what_a_release_brought(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, service: str, environment: str, said: str
) -> None:
    """Contracts count by service and section, so another name of either would cross them unseen, also if the file is said to count."""

    async def no_platform(*_: Any) -> None:
        return None

    async def not_anothers(*_: Any) -> str:
        return ""

    monkeypatch.setattr(others, "platform_of", no_platform)
    monkeypatch.setattr(others, "is_anothers", not_anothers)
    await desk.act()
    changes = {"staging": {"platform": "local/shop"}} if environment == "staging" else {}
    desk.write("local/other" if environment == "staging" else "local/shop", service=service, **changes)
    phase = await desk.begin(environment=environment, as_it_is=True)
    assert said in "".join((await faults_of_others(phase, [environment])).values())
    assert bool(await faults_of_others(phase, [environment])) is bool(said)
    if said:
        await desk.act(environment)
        assert await faults_of_others(phase, [environment]) == {}, "once a release of it acted there it is its own"


@pytest.mark.parametrize(("owner", "others"), [("mail", ""), ("shop", "owners/local_shop.json"), ("", "owners/local_shop.json")])
async def test_a_renamed_service_that_has_not_released_there_is_its_owner_by_the_owners_file(desk: Desk, owner: str, others: str) -> None:
    """Which only the platform team changes; the refusal names it."""
    await desk.act()
    if owner:
        claim(owner_file("local/shop"), Owner(owner, "local/shop", "production"))
    desk.write("local/shop", service="mail")
    phase = await desk.begin(as_it_is=True)
    if not others:
        assert await acted_plans.acts_for_others("mail", place_of(phase.plan, "production")) == ""
        assert await acted_plans.acts_for_others("mail", replace(place_of(phase.plan, "production"), environment="staging"))
        return
    assert others in "".join((await faults_of_others(phase, ["production"])).values())


async def test_the_files_by_which_releases_acted_here_are_known(desk: Desk) -> None:
    """Through this block, or through one that led to the same when a release last acted: a contract by one of them counts."""
    await desk.act()
    keep_place("local/shop", Kept("local m /srv/shop", {}))
    file = (str(desk.file),)
    for here, found in (
        (Here("production", "local/shop"), file),
        (Here("production/eu", "local/shop"), file),
        (Here("production", "local/renamed", "local m /srv/shop"), file),
        (Here("production", "local/renamed", "local m /srv/other"), ()),
        (Here("production", "local/renamed"), ()),
        (Here("staging", "local/shop"), ()),
    ):
        assert await files_of("shop", here) == found, here
    assert await files_of("mail", Here("production", "local/shop")) == ()
    desk.write("local/moved")
    await desk.act()
    assert await files_of("shop", Here("production", "local/shop")) == file, "also of a block that it left"
