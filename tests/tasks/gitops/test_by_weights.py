"""Steps of a canary through Git by weights: what each commit says, what comes back, and what other commits do meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from blocks.errors import Refused, RolloutFailed, Superseded, Unreachable, WorldMoved
from blocks.git.git import Git
from tasks.gitops import by_weights, follow, without_git
from tasks.gitops.changes import change_for
from tasks.gitops.platform import GitOpsPlatform
from tasks.rules.gitops.note import Note, write_note
from tasks.rules.gitops.settings import edits_of
from tests.cluster.gitops_scene import FILE
from tests.cluster.gitops_weights_scene import CANARY, history, says
from tests.cluster.scene import FIRST, SECOND, THIRD
from tests.git_remotes import Repository, repository
from tests.tasks.gitops.in_memory import LEASE, OWNED
from tests.tasks.gitops.weights_in_memory import deployed_by_weights

__all__ = ["repository"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again soon."""
    for name in ("FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS", "FETCH_SECONDS"):
        monkeypatch.setattr(follow, name, 0.05)


async def bring(parts: Any, *shares: int) -> None:
    """Prepare the second version and give it shares."""
    await GitOpsPlatform(parts).prepare(SECOND, LEASE, timeout_seconds=5)
    for share in shares:
        await GitOpsPlatform(parts).shift(share, LEASE)


def weigh(scene: Any, share: int) -> str:
    """Let a colleague commit another share."""
    content = scene.repository.read(FILE)
    _, _, first, second = says(content)
    head, _, route = content.partition(b"kind: HTTPRoute")
    route = route.replace(b"weight: %d\n" % first, b"weight: A\n", 1).replace(b"weight: %d\n" % second, b"weight: B\n", 1)
    route = route.replace(b"weight: A", b"weight: %d" % (100 - share)).replace(b"weight: B", b"weight: %d" % share)
    return str(scene.repository.write({FILE: head + b"kind: HTTPRoute" + route}))


async def test_each_step_is_a_commit_and_the_end_is_the_start_of_the_next_release(repository: Repository) -> None:
    """The canary's version, each share, the workload's own version while the canary serves, and all requests back to it."""
    scene, parts = await deployed_by_weights(repository)
    before = repository.head
    await bring(parts, 25, 50, 100)
    position = await GitOpsPlatform(parts).current()
    assert (position["baseline"], position["canary"], position["percent"], "trouble" in position) == (FIRST, SECOND, 100, False)
    await GitOpsPlatform(parts).promote(LEASE)
    assert history(repository, since=before) == [
        (FIRST, SECOND, 100, 0),
        (FIRST, SECOND, 75, 25),
        (FIRST, SECOND, 50, 50),
        (FIRST, SECOND, 0, 100),
        (SECOND, SECOND, 0, 100),
        (SECOND, SECOND, 100, 0),
    ]
    assert scene.subjects() == [
        f"Deploy podinfo {SECOND} as the baseline, with all requests",
        f"Deploy podinfo {SECOND} as the baseline",
        f"Deploy podinfo {SECOND} with 100 % of the requests",
        f"Deploy podinfo {SECOND} with 50 % of the requests",
        f"Deploy podinfo {SECOND} with 25 % of the requests",
        f"Deploy podinfo {SECOND} as the canary",
    ]
    kept = parts.kubernetes.kept
    assert (kept.canary, kept.previous, kept.gitops) == ("", FIRST, "")
    assert all(share == 0 or canary == SECOND for share, _, canary in parts.kubernetes.shares)
    assert parts.kubernetes.shares[-2:] == [(100, SECOND, SECOND), (0, SECOND, SECOND)]


@pytest.mark.parametrize("shares", [(), (25, 50)])
async def test_an_abort_gives_the_requests_back_first_and_then_the_version(repository: Repository, shares: tuple[int, ...]) -> None:
    """One commit each, whatever share it came to; the file is as before, byte for byte, and again changes nothing."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts, *shares)
    head, content = repository.head, scene.repository.read(FILE)
    await GitOpsPlatform(parts).abort(LEASE)
    home = [(FIRST, SECOND, 100, 0)] if shares else []
    assert history(repository, since=head) == [*home, (FIRST, FIRST, 100, 0)]
    assert parts.kubernetes.drained == [(0, SECOND)] * bool(shares)  # before the canary's pods are replaced
    assert content != repository.read(FILE)
    assert parts.kubernetes.kept.canary == ""
    last = repository.head
    await GitOpsPlatform(parts).abort(LEASE)
    assert repository.head == last


async def test_the_bytes_of_the_file_come_back(repository: Repository) -> None:
    """Also from the middle of a promotion."""
    _, parts = await deployed_by_weights(repository)
    content = repository.read(FILE)
    await bring(parts, 50, 100)

    async def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    kept, parts.kubernetes.promote = parts.kubernetes.promote, dies
    with pytest.raises(KeyboardInterrupt):
        await GitOpsPlatform(parts).promote(LEASE)
    parts.kubernetes.promote = kept
    assert says(repository.read(FILE)) == (SECOND, SECOND, 100, 0)
    await GitOpsPlatform(parts).abort(LEASE)
    assert repository.read(FILE) == content
    assert parts.kubernetes.runs == FIRST


async def test_a_share_goes_down_and_up_again(repository: Repository) -> None:
    """Down to nothing is one commit home; each commit has a key of its own."""
    _, parts = await deployed_by_weights(repository)
    await bring(parts, 50)
    head = repository.head
    for share in (25, 0, 0, 50):
        await GitOpsPlatform(parts).shift(share, LEASE)
        assert (await GitOpsPlatform(parts).current())["percent"] == share
    assert [one[3] for one in history(repository, since=head)] == [25, 0, 50]


async def test_a_step_again_pushes_nothing(repository: Repository) -> None:
    """A process that died after it repeats it."""
    _, parts = await deployed_by_weights(repository)
    await bring(parts, 25)
    head = repository.head
    await GitOpsPlatform(parts).shift(25, LEASE)
    assert repository.head == head
    await bring(parts)
    assert (await GitOpsPlatform(parts).current())["percent"] == 0


async def test_a_version_that_was_tried_before_needs_no_commit_of_the_canary(repository: Repository) -> None:
    """A rollback left it there, without requests: it is taken as it is, and stays after an abort."""
    scene, parts = await deployed_by_weights(repository)
    content = repository.read(FILE)
    head, marker, rest = content.partition(f"name: {CANARY}".encode())
    repository.write({FILE: head + marker + rest.replace(FIRST.encode(), SECOND.encode(), 1)})
    await scene.engine.refresh()
    before = repository.head
    await bring(parts, 25)
    await GitOpsPlatform(parts).abort(LEASE)
    assert history(repository, since=before) == [(FIRST, SECOND, 75, 25), (FIRST, SECOND, 100, 0)]


async def test_weights_that_are_not_at_rest_are_refused_before_anything_moves(repository: Repository) -> None:
    """File and line are named."""
    scene, parts = await deployed_by_weights(repository)
    head = weigh(scene, 5)
    with pytest.raises(WorldMoved, match=f"Git does not give all requests to the baseline: {FILE}:.* says `95`, not `100`"):
        await bring(parts)
    assert (repository.head, parts.kubernetes.kept.canary) == (head, "")


async def test_a_colleagues_weights_are_not_overwritten(repository: Repository) -> None:
    """The next share is refused, the watch ends, and the abort takes the version back alone: what they gave requests to is the old one."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts, 25)
    weigh(scene, 40)
    await scene.engine.refresh()
    assert (await GitOpsPlatform(parts).current())["percent"] == 40
    with pytest.raises(WorldMoved, match="says `60`, not `75` as reviewed; another commit changed it"):
        await GitOpsPlatform(parts).shift(50, LEASE)
    with pytest.raises(WorldMoved, match=r"says `60`.*another commit changed it"):
        await GitOpsPlatform(parts).abort(LEASE)
    assert says(repository.read(FILE)) == (FIRST, FIRST, 60, 40)
    assert parts.kubernetes.kept.canary == ""
    head = repository.head
    await GitOpsPlatform(parts).abort(LEASE)
    assert repository.head == head


@pytest.mark.parametrize("name", ["podinfo", CANARY])
async def test_a_colleagues_version_of_either_side_ends_the_watch(repository: Repository, name: str) -> None:
    """The requests go home, and their version stays."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts, 25)
    head, marker, rest = repository.read(FILE).partition(f"name: {name}\n".encode())
    there = SECOND if name == CANARY else FIRST
    repository.write({FILE: head + marker + rest.replace(there.encode(), THIRD.encode(), 1)})
    await scene.engine.refresh()
    assert f"is set to {THIRD}, not to {there}" in (await GitOpsPlatform(parts).current()).get("trouble", "")
    if name == CANARY:
        with pytest.raises(WorldMoved, match="is not overwritten"):
            await GitOpsPlatform(parts).abort(LEASE)
    else:
        await GitOpsPlatform(parts).abort(LEASE)
    wanted = (FIRST, THIRD, 100, 0) if name == CANARY else (THIRD, FIRST, 100, 0)
    assert says(repository.read(FILE)) == wanted


async def test_weights_that_are_not_those_of_the_route_are_named(repository: Repository) -> None:
    """Git says what we set, and the route does not move."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts)
    apply = parts.kubernetes.apply

    async def without_route(*manifests: Any, manager: str) -> None:
        await apply(*(one for one in manifests if one["kind"] != "HTTPRoute"), manager=manager)

    scene.world.apply = without_route  # type: ignore[method-assign]
    with pytest.raises(RolloutFailed, match=r"gives the canary 0 % of the requests, not 25 %\. Fix `weights` of the block"):
        await GitOpsPlatform(parts).shift(25, LEASE)


@pytest.mark.parametrize("shares", [(), (25,)])
async def test_a_push_that_comes_after_the_abort_is_kept_out(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, shares: tuple[int, ...]
) -> None:
    """A copy of the release was about to push the next share: the commit home is in its way, also if it has no content."""
    _, parts = await deployed_by_weights(repository)
    await bring(parts, *shares)
    commit = by_weights.commit

    async def late(parts: Any, note: Any, change: Any, lease: Any) -> str:
        await GitOpsPlatform(parts).abort(LEASE)
        return await commit(parts, note, change, lease)

    monkeypatch.setattr(by_weights, "commit", late)
    with pytest.raises(Superseded, match="was reverted"):
        await GitOpsPlatform(parts).shift(50, LEASE)
    assert says(repository.read(FILE)) == (FIRST, FIRST, 100, 0)


async def test_without_git_the_route_is_set_and_git_is_told_later(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is held meanwhile; then requests and versions are taken back in Git, and the hold ends."""
    scene, parts = await deployed_by_weights(repository)
    content = repository.read(FILE)
    await bring(parts, 25, 50)

    async def away(*_: Any) -> str:
        raise Unreachable("Git does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(by_weights, "undo_weights", away)
        await GitOpsPlatform(parts).abort(LEASE)
    assert (parts.kubernetes.share, parts.kubernetes.kept.canary, scene.engine.holder) == (0, "", "run-1")
    assert says(repository.read(FILE))[3] == 50
    assert await GitOpsPlatform(parts).is_due()
    assert "the hold is released" in await GitOpsPlatform(parts).settle(LEASE)
    assert (repository.read(FILE), scene.engine.holder, parts.kubernetes.kept.gitops) == (content, "", "")


@pytest.mark.parametrize("fault", [Unreachable("Git does not answer"), Refused("Git refused the credentials"), TimeoutError()])
async def test_a_bad_canary_loses_its_share_without_git_as_soon_as_its_verdict_is_in(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """Before anything else is rolled back; the engine is held, and Git is told later."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts, 50)

    async def away(*_: Any) -> str:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(by_weights, "undo_weights", away)
        await GitOpsPlatform(parts).shift(0, LEASE)
    assert (parts.kubernetes.share, scene.engine.holder) == (0, "run-1")
    await GitOpsPlatform(parts).abort(LEASE)
    assert "the hold is released" in await GitOpsPlatform(parts).settle(LEASE)
    assert says(repository.read(FILE))[2:] == (100, 0)


async def test_a_rollback_goes_on_though_git_refuses(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one whose token has expired does: what Git has to be told is noted."""
    _, parts = await deployed_by_weights(repository)

    @asynccontextmanager
    async def refuses(_: Git) -> AsyncIterator[None]:
        raise Refused("Git refused the credentials: the token has expired")
        yield

    monkeypatch.setattr(Git, "work_copy", refuses)
    await GitOpsPlatform(parts).rolling_back().prepare("6.8.0", LEASE, timeout_seconds=5)
    assert (await parts.seen()).note.due == "commit"


async def test_a_sync_from_before_the_hold_does_not_keep_the_route(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sets the weights that Git says once more, after the route was set."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts, 50)
    refresh = scene.engine.refresh

    async def late() -> None:
        monkeypatch.setattr(scene.engine, "refresh", refresh)
        await scene.engine._deploy(repository.head)

    monkeypatch.setattr(scene.engine, "refresh", late)
    await without_git.roll_back_without_git(parts, (await parts.seen()).note, LEASE, why="Git does not answer")
    assert (parts.kubernetes.share, parts.kubernetes.runs) == (0, FIRST)


async def test_a_rollback_that_is_told_to_git_later_leaves_no_share(repository: Repository) -> None:
    """It began while a canary had one, and Git was away; else the canary would get requests again once the hold ends."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts, 50)
    change = change_for(parts, THIRD, LEASE, edits_of(parts.settings.edits, THIRD))
    note = Note(change, "", FIRST, due="commit", why="Git does not answer", rolls_back=True)
    parts.kubernetes.kept = replace(OWNED, gitops=write_note(note))
    assert "the hold is released" in await GitOpsPlatform(parts).settle(LEASE)
    assert says(repository.read(FILE)) == (THIRD, SECOND, 100, 0)
    assert (await scene.engine.look()).revision == repository.head


async def test_weights_that_others_set_before_git_is_told_are_theirs(repository: Repository) -> None:
    """What they give requests to is the version from before."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts, 25)
    await without_git.roll_back_without_git(parts, (await parts.seen()).note, LEASE, why="Git does not answer")
    weigh(scene, 40)
    assert "Git was changed by others since" in await GitOpsPlatform(parts).settle(LEASE)
    assert says(repository.read(FILE)) == (FIRST, FIRST, 60, 40)


async def test_a_rollback_to_an_earlier_version_is_one_commit(repository: Repository) -> None:
    """By the workload's own rollout, as the version runs nowhere any more; the canary keeps what it has, without requests."""
    _, parts = await deployed_by_weights(repository)
    await bring(parts, 100)
    await GitOpsPlatform(parts).promote(LEASE)
    head = repository.head
    platform = GitOpsPlatform(parts)
    assert (platform.strategy, platform.rolling_back().strategy) == ("canary", "rolling")
    await platform.rolling_back().prepare(FIRST, LEASE, timeout_seconds=5)
    await platform.shift(100, LEASE)
    assert history(repository, since=head) == [(FIRST, SECOND, 100, 0)]
    assert parts.kubernetes.runs == FIRST


async def test_a_rollback_brings_the_requests_home_though_others_removed_the_note(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else says that a version is on its way; a release that failed leaves what a colleague has set. Git may be away, too."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts, 50)
    parts.kubernetes.kept = OWNED
    await GitOpsPlatform(parts).abort(LEASE)
    assert says(repository.read(FILE)) == (FIRST, SECOND, 50, 50)
    parts.kubernetes.kept = replace(OWNED, rollback="yes")
    await GitOpsPlatform(parts).abort(LEASE)
    assert says(repository.read(FILE)) == (FIRST, SECOND, 100, 0)
    weigh(scene, 40)
    await scene.engine.refresh()

    async def away(*_: Any) -> None:
        raise Unreachable("Git does not answer")

    monkeypatch.setattr(by_weights, "_bring_home", away)
    with pytest.raises(Unreachable):
        await GitOpsPlatform(parts).abort(LEASE)
    assert parts.kubernetes.share == 0
    await GitOpsPlatform(parts).abort(LEASE)


async def test_a_rollback_without_note_and_git_restores_the_workload(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git would be asked each time anew, and the workload would keep the version for as long as it is away."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts, 50)
    parts.kubernetes.kept = replace(parts.kubernetes.kept, gitops="", rollback="yes")

    async def away(*_: Any) -> None:
        await scene.engine._deploy(repository.head)  # which sets the share that Git says
        raise Unreachable("Git does not answer")

    monkeypatch.setattr(by_weights, "_bring_home", away)
    with pytest.raises(Unreachable):
        await GitOpsPlatform(parts).abort(LEASE)
    assert (parts.kubernetes.share, parts.kubernetes.runs, parts.kubernetes.kept.canary) == (0, FIRST, "")


async def test_requests_that_others_sent_to_a_canary_past_git_are_given_back_before_its_pods_are_replaced(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git says none, which the engine has applied, and the route says other weights all the same."""
    scene, parts = await deployed_by_weights(repository)
    await bring(parts, 25)
    apply = scene.world.apply

    async def with_another_share(*manifests: Any, manager: str) -> None:
        await apply(*manifests, manager=manager)
        first, second = parts.kubernetes.objects["HTTPRoute/podinfo"]["spec"]["rules"][0]["backendRefs"]
        first["weight"], second["weight"] = 60, 40
        scene.world.apply = apply

    monkeypatch.setattr(scene.world, "apply", with_another_share)
    await GitOpsPlatform(parts).abort(LEASE)
    assert parts.kubernetes.drained == [(0, SECOND)]
    assert (parts.kubernetes.share, parts.kubernetes.kept.canary) == (0, "")
    assert says(repository.read(FILE)) == (FIRST, FIRST, 100, 0)


async def test_what_is_approved_names_each_value(repository: Repository) -> None:
    """Both versions, and each weight with what stands there."""
    _, parts = await deployed_by_weights(repository)
    lines = await GitOpsPlatform(parts).edits(SECOND)
    assert len(lines) == 4
    assert [line.rpartition(": ")[2] for line in lines[2:]] == ["100 → the shares of the plan", "0 → the shares of the plan"]
