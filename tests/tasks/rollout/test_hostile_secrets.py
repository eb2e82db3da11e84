"""Whatever text, of any length and shape, stands in a secret of a block as it is now, the rollback goes by the block of the release."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks import secret_text
from blocks.errors import BadInput
from blocks.forge.settings import PullRequests
from blocks.git.git import Git
from blocks.gitops.argocd import ArgoCDApplication
from blocks.gitops.gitops import FileEdit, GitOps
from blocks.key_folder.places import Kept, keep_place, whole_settings
from blocks.kubernetes.api.users import with_users_of
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.script.hosts.platform import ScriptHosts
from blocks.script.platform import ScriptPlatform
from blocks.secret_text import hide
from tasks.rollout import as_deployed
from tasks.rollout.as_deployed import Answer, load_platform_to_roll_back
from tasks.rollout.present_blocks import MOST_BYTES, present_block, present_kubeconfig

GITOPS, GIT, ENGINE, CLUSTER, SCRIPT, BY_NAME = (
    "gitops/shop",
    "git/shop",
    "argocd-application/shop",
    "kubernetes/shop",
    "script/shop",
    "kubernetes/named",
)
HOSTS = "script-hosts/shop"
CREDENTIALS = "kubernetes-credentials/p"
CONFIG = "clusters: [{name: c, cluster: {server: 'https://%s'}}]\ncontexts: []\n%s\nusers: [%s]\n"
ONE = CONFIG % ("one", "", "{name: u, user: {token: old-token}}")
HUB = PullRequests(forge="github", repository="shop/deploy", token=SecretStr("hub-1"))
SCRIPTS: Any = {name: ["./shop.sh"] for name in ("deploy", "status", "verify", "rollback")}
RELEASED: dict[str, Block] = {
    GITOPS: GitOps(git=GIT, engine=ENGINE, platform=CLUSTER, edits=[FileEdit(file="values.yaml", path="image.tag")]),
    GIT: Git(remote="https://git.example.com/shop.git", token=SecretStr("git-1"), pull_requests=HUB),
    ENGINE: ArgoCDApplication(application="shop", server="https://argo.example.com", token=SecretStr("argo-1")),
    CLUSTER: KubernetesPlatform(workload="shop", config=SecretStr(ONE)),
    SCRIPT: ScriptPlatform(
        address="http://127.0.0.1:1", scripts=SCRIPTS, environment={"TOKEN": SecretStr("old"), "MORE": SecretStr("old")}, rotates=["TOKEN"]
    ),
    BY_NAME: KubernetesPlatform(workload="shop", credentials=CREDENTIALS),
    HOSTS: ScriptHosts(
        address="http://127.0.0.1:1", scripts=SCRIPTS, hosts=["deploy@web-1"], key=SecretStr("key-1"), known_hosts=["web-1 ssh-ed25519 A"]
    ),
}
Edit = Callable[[SecretStr], dict[str, Block]]
SECRETS: dict[str, tuple[str, Edit]] = {
    "git": (GITOPS, lambda one: {GIT: RELEASED[GIT].model_copy(update={"token": one})}),
    "forge": (GITOPS, lambda one: {GIT: RELEASED[GIT].model_copy(update={"pull_requests": HUB.model_copy(update={"token": one})})}),
    "argo": (GITOPS, lambda one: {ENGINE: RELEASED[ENGINE].model_copy(update={"token": one})}),
    "argo by cluster": (GITOPS, lambda one: {ENGINE: ArgoCDApplication(application="shop", config=one)}),
    "cluster of gitops": (GITOPS, lambda one: {CLUSTER: RELEASED[CLUSTER].model_copy(update={"config": one})}),
    "cluster": (CLUSTER, lambda one: {CLUSTER: RELEASED[CLUSTER].model_copy(update={"config": one, "workload": "evil"})}),
    "cluster by name": (BY_NAME, lambda one: {BY_NAME: RELEASED[BY_NAME].model_copy(update={"config": one})}),
    "hosts": (HOSTS, lambda one: {HOSTS: RELEASED[HOSTS].model_copy(update={"key": one, "hosts": ["deploy@evil"]})}),
    "script": (SCRIPT, lambda one: {SCRIPT: RELEASED[SCRIPT].model_copy(update={"environment": {"TOKEN": one, "MORE": one}})}),
}
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + number)}: &{chr(98 + number)} [{','.join(['*' + chr(97 + number)] * 10)}]\n" for number in range(8)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{chr(98 + number)}: &{chr(98 + number)} {{<<: [{','.join(['*' + chr(97 + number)] * 10)}]}}\n" for number in range(8)
)
HOSTILE = {
    "a date": CONFIG % ("evil", "", "{name: u, user: {token: 2026-11-30}}"),
    "bytes": CONFIG % ("evil", "", "{name: u, user: {token: !!binary aGk=}}"),
    "a set": CONFIG % ("evil", "", "{name: u, user: {token: !!set {a, b}}}"),
    "a circle": CONFIG % ("evil", "", "{name: u, user: &u {token: t, self: *u}}"),
    "deep": CONFIG % ("evil", "", "{name: u, user: {token: " + "[" * 1_500 + "]" * 1_500 + "}}"),
    "deeper": "[" * 500_000,
    "laughs": CONFIG % ("evil", LAUGHS, "{name: u, user: {token: *g}}"),
    "merges": CONFIG % ("evil", MERGES, "{name: u, user: *g}"),
    "long": "users: [" + ",".join("{a: b}" for _ in range(300_000)) + "]",
    "many": "users: [" + ",".join("{a: b}" for _ in range(24_000)) + "]",
    "sexagesimal": CONFIG % ("evil", "", "{name: u, user: {token: " + "1:" * 90_000 + "1}}"),
    "many digits": CONFIG % ("evil", "", "{name: u, user: {token: " + "9" * 100_000 + "}}"),
    "users that are none": "users: 7",
    "NUL": "a\0b",
    "a surrogate": "a\ud800",
    "lines": "a\r\nb: c\n",
    "nothing": "",
}


class Api:
    """The blocks as they are now, and how what they lead to answers."""

    blocks: dict[str, Block]
    credentials = ONE
    serves = False

    async def load(self, name: str) -> Block:
        """Load a block."""
        return self.blocks[name]

    async def read(self, _: str) -> str:
        """Read the credentials that a block names."""
        return self.credentials

    async def answers(self, block: Any) -> Answer:
        """Refuse what the release had, and all else, too, unless it serves."""
        is_other = all(whole_settings(block) != whole_settings(one) for one in RELEASED.values())
        return Answer() if self.serves and is_other else Answer("refused", is_refused=True)

    def look(self, *_: Any, **__: Any) -> None:
        """Never be asked for the platform as it is now."""
        pytest.fail("the rollback went by the block as it is now")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    """Use it, after a release."""
    found = Api()
    parts = {GITOPS: [GITOPS, GIT, ENGINE, CLUSTER], CLUSTER: [CLUSTER], SCRIPT: [SCRIPT], HOSTS: [HOSTS]}
    for name, of in parts.items():
        keep_place(name, Kept("id", {one: whole_settings(RELEASED[one]) for one in of}))
    keep_place(BY_NAME, Kept("id", {BY_NAME: whole_settings(RELEASED[BY_NAME]), CREDENTIALS: {"kubeconfig": ONE}}))
    for name, fake in {
        "present_block": found.load,
        "present_kubeconfig": found.read,
        "_answers": found.answers,
        "load_platform": found.look,
    }.items():
        monkeypatch.setattr(as_deployed, name, fake)
    return found


async def expect_as_released(api: Api, name: str, edited: dict[str, Block], *, seconds: float = 1.0) -> None:
    """Expect that a rollback goes where the release went, soon; with its secrets, too, if those of now do not serve either."""
    if name == GITOPS:
        import tasks.gitops.compose  # noqa: F401, PLC0415 - its first import takes longer
    api.blocks = RELEASED | edited
    began = time.process_time()
    found: Any = await load_platform_to_roll_back(name, field="production.platform")
    assert time.process_time() - began < seconds
    parts = (
        {part or name: whole_settings(block) for part, block in found.parts().items()} if name == GITOPS else {name: whole_settings(found)}
    )
    was = {part: whole_settings(RELEASED[part]) for part in parts}
    if name == BY_NAME:
        was[BY_NAME] |= {"config": ONE, "credentials": ""}
    assert without_secrets(parts) == without_secrets(was)
    if not api.serves:
        assert parts == was


def without_secrets(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Give settings as they lead somewhere."""
    found = json.loads(json.dumps(parts))
    for one in found.values():
        for secret in ("token", "key"):
            one.pop(secret, None)
        (one.get("pull_requests") or {}).pop("token", None)
        (one.get("environment") or {}).pop("TOKEN", None)
        if one.get("config"):
            one["config"] = {"evil": "evil" in one["config"], "one": "https://one" in one["config"]}
    return dict(found)


@pytest.mark.parametrize("serves", [False, True], ids=["refused", "serves"])
@pytest.mark.parametrize("field", SECRETS)
async def test_no_text_in_a_secret_stops_delays_or_redirects_a_rollback(api: Api, field: str, *, serves: bool) -> None:
    """Each in turn, whether or not what it would be sent to takes it; a block of credentials and a broken block, too."""
    api.serves = serves
    name, edit = SECRETS[field]
    for text in HOSTILE.values():
        api.credentials = text
        await expect_as_released(api, name, edit(SecretStr(text)))


@pytest.mark.parametrize("field", SECRETS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.text("[]{}:,&*!<>?-|'\"# \n%@ab1").map(lambda text: CONFIG % ("evil", "", text)), serves=st.booleans())
async def test_any_text_in_a_secret_leaves_the_rollback_where_the_release_went(api: Api, field: str, text: str, *, serves: bool) -> None:
    """Found by search."""
    api.serves = serves
    name, edit = SECRETS[field]
    api.credentials = text
    await expect_as_released(api, name, edit(SecretStr(text)), seconds=5)


WORDS = " ".join(f"{number:016x}" for number in range(3_500))


@pytest.mark.parametrize("text", [WORDS, WORDS.replace(" ", ""), WORDS.replace(" ", "\n")], ids=["words", "one word", "lines"])
@pytest.mark.parametrize("field", SECRETS)
async def test_no_edited_block_makes_a_line_take_long(api: Api, field: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each secret that is looked for costs time for every text; it is edited anew for each look, and those of the release count then."""
    api.serves = True
    monkeypatch.setattr(secret_text, "_known", set())
    monkeypatch.setattr(secret_text, "_known_of", {})
    name, edit = SECRETS[field]
    for number in range(5):
        changed = text.replace("0000", f"{number:04x}")
        api.credentials = CONFIG % ("evil", "", f"{{name: u, user: {{token: {json.dumps(changed)}}}}}")
        content = api.credentials if "cluster" in field else changed
        await expect_as_released(api, name, edit(SecretStr(content)), seconds=5)
    assert len(secret_text._known) < 2 * secret_text.MOST_OF_ONE
    best = min(timed(f"the rollback of production goes on, run {number}") for number in range(5))
    assert best < 0.01


def timed(text: str) -> float:
    """Measure how long a line takes."""
    began = time.process_time()
    hide(text)
    return time.process_time() - began


@pytest.mark.parametrize("error", [TypeError, RecursionError, MemoryError, KeyError, AssertionError, UnicodeError])
async def test_no_error_of_a_block_as_it_is_now_makes_it_count(api: Api, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither if it is loaded nor if its secrets are taken."""

    def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(as_deployed, "_renewed", fails)
    await expect_as_released(api, CLUSTER, {CLUSTER: KubernetesPlatform(workload="evil")})
    monkeypatch.setattr(as_deployed, "present_block", fails)
    await expect_as_released(api, GITOPS, {})


async def test_secrets_that_serve_are_not_renewed_nor_even_looked_at(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the API server refused is replaced."""

    async def answers(_: Any) -> Answer:
        return Answer()

    monkeypatch.setattr(as_deployed, "_answers", answers)
    monkeypatch.setattr(as_deployed, "_renewed", lambda *_: pytest.fail("they were looked at"))
    await expect_as_released(api, CLUSTER, {CLUSTER: KubernetesPlatform(workload="evil", config=SecretStr(ONE))})


@pytest.mark.parametrize("was", [ONE, "", "a: &a [*a]", "clusters: [2026-11-30", "[" * 5_000, json.dumps({"users": []}), "x"])
@pytest.mark.parametrize("text", HOSTILE)
def test_users_are_taken_from_plain_data_or_not_at_all(was: str, text: str) -> None:
    """What is given is what was kept, or it with other users, as JSON."""
    began = time.process_time()
    found = with_users_of(SecretStr(was), SecretStr(HOSTILE[text]))
    assert time.process_time() - began < 1
    if found != was:
        assert "https://evil" not in found
        assert all(isinstance(one["user"], dict) for one in json.loads(found)["users"])


@pytest.mark.parametrize(
    ("written", "token"), [("2026-11-30", "2026-11-30"), ("0123", "0123"), ("1e5", "1e5"), ("'a b'", "a b"), ("äöü", "äöü")]
)
def test_an_honest_token_counts_as_it_is_written(written: str, token: str) -> None:
    """Though YAML has a date or a number there."""
    now = CONFIG % ("other", "", f"{{name: u, user: {{token: {written}}}}}")
    found = json.loads(with_users_of(SecretStr(ONE), SecretStr(now)))
    assert (found["users"][0]["user"]["token"], found["clusters"][0]["cluster"]["server"]) == (token, "https://one")


@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_a_block_is_read_as_the_server_has_it_up_to_a_bound(tmp_path: Path) -> None:
    """With its secrets, and its name; a longer one is not read to its end, nor is the YAML of credentials parsed."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.client.schemas.actions import BlockDocumentUpdate  # noqa: PLC0415
    from prefect_kubernetes.credentials import KubernetesClusterConfig, KubernetesCredentials  # noqa: PLC0415

    one = KubernetesPlatform(workload="shop", config=SecretStr(ONE), kubeconfig=str(tmp_path))
    await one.save("present", overwrite=True)
    found: Any = await present_block("kubernetes/present")
    assert (whole_settings(found), found._block_document_name) == (whole_settings(one), "present")
    await one.model_copy(update={"config": SecretStr("x" * MOST_BYTES)}).save("present", overwrite=True)
    with pytest.raises(BadInput, match="more than 1,000,000 bytes"):
        await present_block("kubernetes/present")
    with pytest.raises(BadInput, match="status 404"):
        await present_block("kubernetes/never-made")
    config = KubernetesClusterConfig(config={"users": []}, context_name="c")
    await KubernetesCredentials(cluster_config=config).save("present", overwrite=True)
    assert json.loads(await present_kubeconfig("kubernetes-credentials/present")) == {"users": [], "current-context": "c"}
    async with get_client() as client:
        document = await client.read_block_document_by_name("present", "kubernetes-credentials")
        data = {"cluster_config": {"config": HOSTILE["a circle"], "context_name": "c"}}
        await client.update_block_document(document.id, BlockDocumentUpdate(data=data, merge_existing_data=False))
    assert await present_kubeconfig("kubernetes-credentials/present") == HOSTILE["a circle"]
