"""From its first change on a release acts and is judged by what it began with, whatever is edited or removed since."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from blocks.errors import BadInput, Refused, Tampered, Temporary, WorldMoved
from blocks.key_folder.kept_files import kept_path
from blocks.kubernetes.api import credentials
from blocks.kubernetes.reader import is_stranger
from blocks.local.platform import LocalPlatform
from blocks.platform import Lease
from blocks.prometheus.prometheus import Prometheus
from flows.lifecycle import context, finalize
from flows.lifecycle.acting import acting, acting_for, expect_as_begun, fix_settings
from flows.lifecycle.context import Phase, begin_phase, platform_of, subject_in
from flows.rollout import held_step
from tasks.analysis.sources import Subject
from tasks.evidence.begun import forget_begun
from tasks.evidence.settings import settings_fingerprint
from tasks.record.without_key import rolling_back
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.evidence.inputs import PROMETHEUS, TakenPlan
from tasks.rules.plan.plan import Plan
from tasks.rules.windows.freeze import Hold
from tests.flows.harness import plan_of

RUN, PLACE = "5d1e0000-0000-4000-8000-000000000009", "production"
PLATFORM = LocalPlatform(service="shop", environment={"TOKEN": SecretStr("one")})
EDITED = [
    PLATFORM.model_copy(update={"folder": "/srv/evil"}),
    PLATFORM.model_copy(update={"command": ["evil"]}),
    PLATFORM.model_copy(update={"environment": {"TOKEN": SecretStr("two")}}),
]
TOLD = Prometheus(url="http://127.0.0.1:9090")


def taken(name: str) -> TakenPlan:
    """Make a plan of a service."""
    return TakenPlan(plan=plan_of(name), path="/srv/shipway.yaml", folder="/srv", repository="/srv")


def approved() -> dict[str, str]:
    """Give the fingerprints that were approved."""
    return {"staging": "", PLACE: settings_fingerprint(PLATFORM), PROMETHEUS: settings_fingerprint(TOLD)}


async def begun(**plans: TakenPlan) -> None:
    """Let another process make a release's first change in production."""
    with acting_for(RUN):
        release = acting()
        assert release is not None
        release.plans |= {f"{RUN}{scope.replace('_', '/')}": plan for scope, plan in plans.items()}
        await fix_settings(PLACE, PLATFORM, approved())


@pytest.mark.parametrize("edited", EDITED)
async def test_a_platform_that_was_edited_after_the_first_change_does_not_act(
    edited: LocalPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is loaded again, also by another process; what is as it was goes on."""
    await begun()
    found: list[LocalPlatform] = [PLATFORM, edited]

    async def load(name: str, *, field: str, strategy: str | None) -> LocalPlatform:
        del name, field, strategy
        return found.pop(0)

    monkeypatch.setattr(context, "load_platform", load)
    plan = Plan.model_validate(plan_of("shop"))
    with acting_for(RUN):
        assert await platform_of(plan, PLACE, anew=True) is PLATFORM
        with pytest.raises(WorldMoved, match="was changed since this release began to act by it"):
            await platform_of(plan, PLACE, anew=True)


async def test_a_rollback_does_not_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes by what is kept whole."""
    await begun()

    async def load(name: str, *, field: str, strategy: str | None) -> LocalPlatform:
        del name, field, strategy
        return EDITED[0]

    monkeypatch.setattr(context, "load_platform_to_roll_back", load)
    with acting_for(RUN), rolling_back():
        assert await platform_of(Plan.model_validate(plan_of("shop")), PLACE) is EDITED[0]


@pytest.mark.parametrize("now", [None, TOLD.model_copy(update={"url": "http://127.0.0.1:1"}), TOLD.model_copy(update={"username": "x"})])
async def test_another_prometheus_does_not_judge(now: Prometheus | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of an attacker's says that all is well."""
    await begun()
    answers: list[Prometheus | None] = [TOLD, now]

    async def subject(plan: Plan, environment: str) -> Subject:
        return Subject(plan.service, environment, plan.judgement, answers.pop(0))

    monkeypatch.setattr(context, "subject_of", subject)
    plan = taken("shop")
    phase = Phase(RUN, 1, RUN, plan.parsed(), plan.path, plan.folder, plan)
    with acting_for(RUN):
        assert (await subject_in(phase, PLACE)).prometheus is TOLD
        with pytest.raises(WorldMoved, match=PROMETHEUS):
            await subject_in(phase, PLACE)


async def test_another_prometheus_does_not_judge_what_is_held_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anyone may set a freeze, and lift their edit before its end."""
    await begun()
    evil = TOLD.model_copy(update={"url": "http://127.0.0.1:1"})

    async def subject(plan: Plan, environment: str) -> Subject:
        return Subject(plan.service, environment, plan.judgement, evil)

    async def watched(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(outcome=Outcome.PASSED)

    monkeypatch.setattr(context, "subject_of", subject)
    monkeypatch.setattr(held_step, "named", lambda *_: watched)
    plan, lease = taken("shop"), Lease(owner=RUN, generation=1)
    phase = Phase(RUN, 1, RUN, plan.parsed(), plan.path, plan.folder, plan)
    standing = held_step.Standing(Any, PLACE, "1.1", lease=lease, percent=50, begun={"at": ""})  # type: ignore[arg-type]
    with acting_for(RUN), pytest.raises(WorldMoved, match=PROMETHEUS):
        await held_step._watch(phase, standing, Hold("frozen", "", None, ("0123456789ab",)), until=None, promoted=False)


async def test_targets_that_begin_at_once_are_all_fixed() -> None:
    """None is lost in the file, and the first counts."""
    names = [f"production/{number}" for number in range(8)]
    with acting_for(RUN):
        await asyncio.gather(*(fix_settings(name, PLATFORM, {name: settings_fingerprint(PLATFORM)}) for name in names))
    with acting_for(RUN):
        for name in names:
            await expect_as_begun(name, PLATFORM)
            with pytest.raises(WorldMoved):
                await fix_settings(name, EDITED[0], {name: settings_fingerprint(EDITED[0])})


async def test_a_later_round_is_asked_about_anew() -> None:
    """What people approved in it counts, not what the round before began with."""
    await begun()
    with acting_for(RUN):
        release = acting()
        assert release is not None
        release.round = 2
        await fix_settings(PLACE, EDITED[0], {PLACE: settings_fingerprint(EDITED[0])})
        with pytest.raises(WorldMoved):
            await expect_as_begun(PLACE, PLATFORM)


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the remembered plans be gone: each reading gives the file as it is now, with another plan."""
    asked: list[str] = []

    async def read(path: str, *, key: str = "") -> TakenPlan:
        asked.append(key or path)
        return taken("evil")

    monkeypatch.setattr(context, "take_plan", read)
    monkeypatch.setattr(context, "read_plan", read)
    return asked


@pytest.mark.parametrize("back", [False, True])
async def test_a_remembered_plan_that_is_gone_is_not_read_anew(gone: list[str], *, back: bool) -> None:
    """Forward and back: the plan file may be another one by now, or none."""
    await begun(**{"": taken("shop"), "_1": taken("shop")})
    with acting_for(RUN), rolling_back(on=back):
        for scope in (RUN, f"{RUN}/1"):
            assert (await begin_phase("/srv/shipway.yaml", scope=scope)).plan.service == "shop"
    assert (gone == []) == back
    await forget_begun(RUN)
    with acting_for(RUN):
        assert (await begin_phase("/srv/shipway.yaml", scope=RUN)).plan.service == "evil"


async def test_a_remembered_plan_that_was_changed_stops_the_release_and_not_its_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others write the storage, which people must know; neither needs what they wrote."""
    await begun(**{"": taken("shop")})

    async def changed(path: str, *, key: str) -> TakenPlan:
        raise Tampered(f"{path} {key} was changed")

    monkeypatch.setattr(context, "take_plan", changed)
    with acting_for(RUN), pytest.raises(Tampered):
        await begin_phase("/srv/shipway.yaml", scope=RUN)
    with acting_for(RUN), rolling_back():
        assert (await begin_phase("/srv/shipway.yaml", scope=RUN)).plan.service == "shop"


async def test_a_rollback_goes_on_without_what_is_kept(gone: list[str]) -> None:
    """As after the loss of the key; a step forward does not."""
    await begun(**{"": taken("shop")})
    kept_path("begun", RUN).write_bytes(b"x")
    with acting_for(RUN), pytest.raises(Refused, match="what a release acts by"):
        await begin_phase("/srv/shipway.yaml", scope=RUN)
    with acting_for(RUN), rolling_back():
        assert (await begin_phase("/srv/shipway.yaml", scope=RUN)).plan.service == "evil"
    assert gone == [f"{RUN}/plan"]


@pytest.mark.parametrize(("kinds", "waits"), [(["opened"], False), (["opened", "effect"], True), (["opened", "effect", "closed"], False)])
async def test_a_release_without_a_plan_that_moved_something_is_not_closed(
    kinds: list[str], monkeypatch: pytest.MonkeyPatch, *, waits: bool
) -> None:
    """Missing does not read as "never happened": the record stays open until the plan is back."""

    async def begin(plan: str, *, scope: str, anew: bool = False) -> Any:
        raise BadInput(f"{plan} cannot be read {scope}{anew}", field="plan", fix="Restore it")

    async def read(run: str) -> list[Any]:
        del run
        return [SimpleNamespace(kind=kind, evidence={"outcome": "failed"}, environment="", step=None, round=1, name="") for kind in kinds]

    monkeypatch.setattr(finalize, "begin_phase", begin)
    monkeypatch.setattr(finalize, "read_entries", read)
    if waits:
        with pytest.raises(Temporary, match="moved something, and its plan cannot be read"):
            await finalize.phase_to_end("plan.yaml", RUN)
    else:
        assert await finalize.phase_to_end("plan.yaml", RUN) is None


async def test_credentials_that_lead_elsewhere_in_the_middle_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read again for each call; another token of the same cluster is fine."""
    from prefect.blocks.core import Block  # noqa: PLC0415
    from prefect_kubernetes.credentials import KubernetesClusterConfig, KubernetesCredentials  # noqa: PLC0415

    def block(server: str, token: str) -> KubernetesCredentials:
        config = {"clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": {"token": token}}]}
        return KubernetesCredentials(cluster_config=KubernetesClusterConfig(config=config, context_name="c"))

    answers = [block("https://one", "1"), block("https://one", "2"), block("https://evil", "2")]

    async def load(_name: str) -> Any:
        return answers.pop(0)

    monkeypatch.setattr(Block, "aload", load)
    with acting_for(RUN):
        await credentials.kubeconfig_from("kubernetes-credentials/p")
        await credentials.kubeconfig_from("kubernetes-credentials/p")
        with pytest.raises(WorldMoved, match="leads to another cluster than before"):
            await credentials.kubeconfig_from("kubernetes-credentials/p")


def test_the_file_lies_beside_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither the API nor the storage can write."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "approvals.key"))
    assert kept_path("begun", RUN) == tmp_path / "begun" / f"{RUN}.kept"


def test_a_release_reads_for_itself_and_a_rollback_as_who_it_will_take_over() -> None:
    """What a rollback chooses once it owns an environment must have the names that it read before."""
    with acting_for(RUN):
        assert is_stranger("another run")
        assert not is_stranger(RUN)
    with rolling_back(), acting_for(RUN):
        assert not is_stranger("another run")
    assert not is_stranger("another run")
