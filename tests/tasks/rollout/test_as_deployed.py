"""A rollback acts on what the last release acted on, whatever was done to its blocks through the API since."""

# ruff: noqa: F811 - a fixture that is imported is the name of a parameter, too
from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks.errors import BadInput, Refused, RolloutFailed, Temporary, Unreachable, WorldMoved, refusing
from blocks.forge.settings import PullRequests
from blocks.git.git import Git
from blocks.gitops.argocd import ArgoCDApplication
from blocks.gitops.gitops import FileEdit, GitOps
from blocks.key_folder.places import Kept, keep_place, read_place
from blocks.kubernetes.platform import KubernetesPlatform
from tasks.approval import protection
from tasks.gitops.compose import compose
from tasks.gitops.platform import GitOpsPlatform
from tasks.rollout import as_deployed
from tasks.rollout.as_deployed import Answer, load_platform_to_roll_back
from tests.git_blocks import over_http
from tests.git_remotes import HttpRemote, http_remote, repository  # noqa: F401 - fixtures

NAME, GIT, ENGINE, CLUSTER, CREDENTIALS = (
    "gitops/shop",
    "git/shop",
    "argocd-application/shop",
    "kubernetes/shop",
    "kubernetes-credentials/p",
)
HUB = PullRequests(forge="github", repository="shop/deploy", token=SecretStr("hub-1"))


def kubeconfig(server: str, token: str) -> str:
    """Write one."""
    return json.dumps({"clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": {"token": token}}]})


RELEASED: dict[str, Block] = {
    NAME: GitOps(git=GIT, engine=ENGINE, platform=CLUSTER, edits=[FileEdit(file="values.yaml", path="image.tag")]),
    GIT: Git(remote="https://git.example.com/shop.git", token=SecretStr("git-1"), pull_requests=HUB),
    ENGINE: ArgoCDApplication(application="shop", server="https://argo.example.com", token=SecretStr("argo-1")),
    CLUSTER: KubernetesPlatform(workload="shop", config=SecretStr(kubeconfig("https://one", "u-1"))),
}


class Api:
    """The blocks as the API has them now, and which of their secrets still serve."""

    def __init__(self) -> None:
        """Begin as it was released."""
        self.blocks = dict(RELEASED)
        self.credentials: dict[str, str] = {}
        self.refused: set[str] = set()
        self.silent: set[str] = set()

    async def load(self, name: str, *, field: str = "") -> Block:
        """Load a block."""
        if (found := self.blocks.get(name)) is None:
            raise BadInput(f"the block {name} does not exist", field=field, fix="Create it.")
        return found.model_copy()

    async def read(self, name: str) -> str:
        """Read credentials."""
        if name not in self.credentials:
            raise BadInput(f"the block {name} cannot be read", field="credentials", fix="Create it")
        return self.credentials[name]

    async def answers(self, block: Any) -> Answer:
        """Refuse what has a secret that does not serve any more, or was never ours; what is silent does not answer."""
        text = json.dumps(as_deployed.whole_settings(block))
        is_refused, is_silent = (any(secret in text for secret in secrets) for secrets in (self.refused, self.silent))
        return Answer("refused" if is_refused else "silent" if is_silent else "", is_refused)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    """Use it."""
    found = Api()
    monkeypatch.setattr(as_deployed, "present_block", found.load)
    monkeypatch.setattr(as_deployed, "present_kubeconfig", found.read)
    monkeypatch.setattr(protection, "kubeconfig_from", found.read)
    monkeypatch.setattr(as_deployed, "_answers", found.answers)
    return found


async def test_a_branch_answers_if_its_token_serves(http_remote: HttpRemote) -> None:
    """That is how a rotated token is known from one that is right."""
    right, wrong = over_http(http_remote), over_http(http_remote, "rotated")
    assert await as_deployed._answers(right) == Answer()
    assert (await as_deployed._answers(wrong)).is_refused


async def released(api: Api) -> None:
    """Keep what a release keeps at its first change."""

    async def load(name: str, field: str) -> Block:
        return await api.load(name, field=field)

    platform = await compose(await load(NAME, ""), name=NAME, load=load)  # type: ignore[arg-type]
    keep_place(NAME, Kept("kubernetes 1", await protection._whole(NAME, platform)))


async def parts_of_rollback() -> dict[str, Any]:
    """Load the platform of a rollback, and give its blocks."""
    found: Any = await load_platform_to_roll_back(NAME, field="production.platform")
    assert isinstance(found, GitOpsPlatform)
    return {name or NAME: block for name, block in found.parts().items()}


def settings_of(blocks: dict[str, Any]) -> dict[str, Any]:
    """Write blocks so that they can be compared, secrets included."""
    return {name: (type(block), as_deployed.whole_settings(block)) for name, block in blocks.items()}


EDITS: dict[str, dict[str, Block | None]] = {
    "everything deleted": dict.fromkeys(RELEASED),
    "another branch": {GIT: Git(remote="https://git.example.com/shop.git", branch="evil", token=SecretStr("git-1"))},
    "another repository": {GIT: Git(remote="https://evil.example.com/shop.git", token=SecretStr("git-1"))},
    "another token": {GIT: Git(remote="https://git.example.com/shop.git", token=SecretStr("bad"), pull_requests=HUB)},
    "another forge": {GIT: RELEASED[GIT].model_copy(update={"pull_requests": HUB.model_copy(update={"repository": "evil/deploy"})})},
    "another Application": {ENGINE: ArgoCDApplication(application="evil", server="https://argo.example.com", token=SecretStr("argo-1"))},
    "another Argo CD": {ENGINE: ArgoCDApplication(application="shop", server="https://evil.example.com", token=SecretStr("argo-1"))},
    "another cluster": {CLUSTER: KubernetesPlatform(workload="shop", config=SecretStr(kubeconfig("https://evil", "u-1")))},
    "broken kubeconfig": {CLUSTER: KubernetesPlatform(workload="shop", config=SecretStr("{"))},
    "another workload": {CLUSTER: KubernetesPlatform(workload="evil", config=SecretStr(kubeconfig("https://one", "u-1")))},
    "other blocks": {NAME: RELEASED[NAME].model_copy(update={"git": "git/evil", "platform": "kubernetes/evil"})},
    "other edits": {NAME: RELEASED[NAME].model_copy(update={"edits": [FileEdit(file="evil.yaml", path="image.tag")]})},
    "a block of another type": {GIT: RELEASED[CLUSTER]},
}


@pytest.mark.parametrize("edit", EDITS)
async def test_no_edit_of_a_gitops_block_or_of_one_that_it_names_stops_or_redirects_a_rollback(edit: str, api: Api) -> None:
    """Git, Argo CD, cluster and forge are those of the release, secrets included."""
    await released(api)
    api.blocks |= EDITS[edit]  # type: ignore[arg-type]
    assert settings_of(await parts_of_rollback()) == settings_of(RELEASED)


async def test_a_server_that_does_not_answer_for_its_blocks_does_not_stop_a_rollback(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it needs is beside the key."""
    await released(api)

    async def load(name: str) -> Block:
        raise Temporary(f"no answer for {name}")

    monkeypatch.setattr(as_deployed, "present_block", load)
    assert settings_of(await parts_of_rollback()) == settings_of(RELEASED)


async def test_rotated_secrets_count_and_go_nowhere_else(api: Api) -> None:
    """Those of the release are refused by now; the addresses that the API has now are another's."""
    await released(api)
    api.refused = {"git-1", "hub-1", "argo-1", "u-1"}
    renewed = HUB.model_copy(update={"token": SecretStr("hub-2"), "repository": "evil/deploy"})
    api.blocks |= {
        GIT: Git(remote="https://evil.example.com/shop.git", token=SecretStr("git-2"), pull_requests=renewed),
        ENGINE: ArgoCDApplication(application="shop", server="https://evil.example.com", token=SecretStr("argo-2")),
        CLUSTER: KubernetesPlatform(workload="shop", config=SecretStr(kubeconfig("https://evil", "u-2"))),
    }
    found = await parts_of_rollback()
    assert (found[GIT].remote, found[GIT].token.get_secret_value()) == ("https://git.example.com/shop.git", "git-2")
    assert (found[GIT].pull_requests.repository, found[GIT].pull_requests.token.get_secret_value()) == ("shop/deploy", "hub-2")
    assert (found[ENGINE].server, found[ENGINE].token.get_secret_value()) == ("https://argo.example.com", "argo-2")
    assert json.loads(found[CLUSTER].config.get_secret_value()) == json.loads(kubeconfig("https://one", "u-2"))


async def test_a_kept_secret_that_does_not_answer_is_not_a_kept_secret_that_is_refused(api: Api) -> None:
    """Else a passing fault at the right moment lets whoever edits the block choose the account: one that may only read, say."""
    await released(api)
    api.silent = {"git-1", "argo-1", "u-1"}
    api.blocks |= {GIT: Git(remote="https://git.example.com/shop.git", token=SecretStr("git-2"), pull_requests=HUB)}
    assert settings_of(await parts_of_rollback()) == settings_of(RELEASED)


@pytest.mark.parametrize("fault", [None, Unreachable("no answer"), Temporary("429"), WorldMoved("gone"), RolloutFailed("no"), ValueError()])
async def test_no_fault_but_a_refusal_is_one(fault: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a service in trouble."""

    async def current(_: Any) -> dict[str, str]:
        if fault is not None:
            raise fault
        return {"trouble": "its state was changed from outside"}

    monkeypatch.setattr(KubernetesPlatform, "current", current)
    answer = await as_deployed._answers(RELEASED[CLUSTER])
    assert (answer.is_refused, bool(answer.fault)) == (False, fault is not None)


@pytest.mark.parametrize("refused", [refusing(BadInput("401", field="config", fix="x")), refusing(Refused("403"))])
async def test_a_refusal_is_one_in_a_group_of_errors_too(refused: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform may ask several things at once."""

    async def current(_: Any) -> dict[str, str]:
        raise ExceptionGroup("several", [ExceptionGroup("more", [Unreachable("no answer"), refused])])

    monkeypatch.setattr(KubernetesPlatform, "current", current)
    assert (await as_deployed._answers(RELEASED[CLUSTER])).is_refused


async def test_a_refusal_that_has_passed_meanwhile_leaves_the_secrets_of_the_release(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked once more before others count."""
    await released(api)
    answers = iter([Answer("401", is_refused=True), Answer(), Answer()])

    async def first_refused(block: Any) -> Answer:
        return next(answers) if isinstance(block, Git) else Answer()

    monkeypatch.setattr(as_deployed, "_answers", first_refused)
    api.blocks[GIT] = RELEASED[GIT].model_copy(update={"token": SecretStr("git-2")})
    assert settings_of(await parts_of_rollback()) == settings_of(RELEASED)


@pytest.mark.parametrize("serves", [True, False], ids=["the present secret serves", "nothing answers"])
async def test_a_rollback_asks_once_which_secrets_serve_where_that_takes_long(
    api: Api, monkeypatch: pytest.MonkeyPatch, *, serves: bool
) -> None:
    """Its platform is loaded each minute, and whoever edits the block for each of them delays nothing; what others' serve is asked anew."""
    await released(api)
    api.refused = {"git-1"} if serves else {"git-1", "git-2", "git-3"}
    asked = list[str]()

    async def hangs(block: Any) -> Answer:
        if isinstance(block, Git):
            asked.append(block.token.get_secret_value())
        answer = await api.answers(block)
        await asyncio.sleep(0.05 if answer.fault else 0)
        return answer

    monkeypatch.setattr(as_deployed, "_answers", hangs)
    monkeypatch.setattr("tasks.rollout.asked.LONG_SECONDS", 0.04)
    monkeypatch.setattr("tasks.rollout.asked.TIMES", 10_000)
    for edited, first in (("git-2", True), ("git-2", False), ("git-3", False)):
        asked.clear()
        api.blocks[GIT] = RELEASED[GIT].model_copy(update={"token": SecretStr(edited)})
        found = (await parts_of_rollback())[GIT].token.get_secret_value()
        expected = ["git-1", edited, "git-1"] if serves else ["git-1", edited] if first else []
        assert (asked, found) == (expected, edited if serves else "git-1")


async def test_credentials_in_a_block_of_their_own_are_those_of_the_release(api: Api) -> None:
    """The block of the cluster only names them, and it is not the one that is edited."""
    api.blocks[CLUSTER] = KubernetesPlatform(workload="shop", credentials=CREDENTIALS)
    api.credentials = {CREDENTIALS: kubeconfig("https://one", "u-1")}
    await released(api)
    for now in ({CREDENTIALS: kubeconfig("https://evil", "u-2")}, {}):
        api.credentials = now
        config = (await parts_of_rollback())[CLUSTER].config.get_secret_value()
        assert json.loads(config) == json.loads(kubeconfig("https://one", "u-1"))
    api.refused, api.credentials = {"u-1"}, {CREDENTIALS: kubeconfig("https://evil", "u-2")}
    config = (await parts_of_rollback())[CLUSTER].config.get_secret_value()
    assert json.loads(config) == json.loads(kubeconfig("https://one", "u-2"))


async def test_what_cannot_be_used_any_more_leaves_the_block_as_it_is_now(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """As settings of another version of Shipway: no rollback fails of what is kept."""
    await released(api)
    kept = read_place(NAME)
    assert kept is not None
    keep_place(NAME, kept._replace(parts={**kept.parts, GIT: {"remote": 7}}))
    now = KubernetesPlatform(workload="shop")

    async def load(name: str, *, field: str, strategy: str | None) -> KubernetesPlatform:
        del name, field, strategy
        return now

    monkeypatch.setattr(as_deployed, "load_platform", load)
    assert await load_platform_to_roll_back(NAME, field="production.platform") is now


@pytest.mark.parametrize("is_rotated", [False, True], ids=["as it was", "secrets rotated"])
async def test_a_renamed_block_is_rolled_back_by_as_the_release_had_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, *, is_rotated: bool
) -> None:
    """Under the old name it is gone, and under the new one anyone with the API's password chose the image; only rotated secrets count."""
    renamed = KubernetesPlatform(workload="shop", image="evil/{version}", config=SecretStr(kubeconfig("https://evil", "u-2")))
    keep_place(CLUSTER, Kept("kubernetes 1", await protection._whole(CLUSTER, RELEASED[CLUSTER])))  # type: ignore[arg-type]
    api.blocks = {"kubernetes/new": renamed}
    api.refused = {"u-1"} if is_rotated else set()

    async def identity(_: KubernetesPlatform) -> str:
        return "kubernetes 1"

    async def load(name: str, *, field: str, strategy: str | None) -> Block:
        del strategy
        return await api.load(name, field=field)

    monkeypatch.setattr(KubernetesPlatform, "identity", identity)
    monkeypatch.setattr(as_deployed, "load_platform", load)
    found: Any = await load_platform_to_roll_back("kubernetes/new", field="production.platform")
    assert found.image != "evil/{version}"
    assert json.loads(found.config.get_secret_value()) == json.loads(kubeconfig("https://one", "u-2" if is_rotated else "u-1"))
