"""Secrets of scripts that were rotated since the last release: a rollback is not kept from acting, and nothing else of the block counts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks.errors import RolloutFailed
from blocks.key_folder.places import Kept, keep_place, whole_settings
from blocks.script import effects
from blocks.script.hosts.platform import ScriptHosts
from blocks.script.platform import ScriptPlatform
from tasks.rollout import as_deployed
from tests.blocks.script.hosts.farms import KEY_LINE

NAME = "script/shop"
SCRIPT = """#!/bin/sh
[ "$1" != rollback ] || echo "${TOKEN:-} ${DEPLOY_TO:-} $PATH" >>asked
case $1 in
deploy) echo "$2" >version ;;
rollback) [ "$TOKEN" = "$(cat token)" ] && echo "$2" >version ;;
status) [ ! -f private ] || [ "$TOKEN" = "$(cat token)" ] || exit 7; cat version ;;
esac
"""
Make = Callable[..., ScriptPlatform]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make the block with its variables; 1.0 runs, and the token that serves is `new-token`."""
    program = tmp_path / "shop.sh"
    program.write_text(SCRIPT)
    program.chmod(0o755)
    (tmp_path / "version").write_text("1.0\n")
    (tmp_path / "token").write_text("new-token")

    def block(service: str = "shop", **environment: str) -> ScriptPlatform:
        return ScriptPlatform(
            service=service,
            address="http://127.0.0.1:1",
            scripts={
                "deploy": ["./shop.sh", "deploy", "{version}"],
                "status": ["./shop.sh", "status"],
                "verify": ["./shop.sh", "verify"],
                "rollback": ["./shop.sh", "rollback", "{previous}"],
            },
            working_directory=str(tmp_path),
            folder=str(tmp_path / "notes"),
            environment={name: SecretStr(value) for name, value in environment.items()},
            rotates=["TOKEN", "GONE"],
            timeout_seconds=10,
        )

    return block


async def to_roll_back(was: ScriptPlatform, now: ScriptPlatform, monkeypatch: pytest.MonkeyPatch) -> ScriptPlatform:
    """Have 1.1 deployed by a release and the block edited since; gives the platform of its rollback."""
    lease = await was.acquire_lease("release")
    await was.prepare("1.1", lease, timeout_seconds=5)
    await was.shift(100, lease)
    keep_place(NAME, Kept("script 1", {NAME: whole_settings(was)}))

    async def load(_: str) -> Block:
        return now

    monkeypatch.setattr(as_deployed, "present_block", load)
    found = await as_deployed.load_platform_to_roll_back(NAME, field="production.platform")
    assert isinstance(found, ScriptPlatform)
    return found


def test_only_the_variables_that_the_block_of_the_release_names_are_renewed(make: Make) -> None:
    """Any other may say where a script leads, or what it runs; nor do a new name and a longer list count. What was removed stays."""
    names = dict.fromkeys(["TOKEN", "API_URL", "PATH", "LD_PRELOAD", "https_proxy", "GONE"], "old")
    now = make(**{**dict.fromkeys(names, "new"), "MORE": "new"}).model_copy(update={"rotates": ["TOKEN", "API_URL", "MORE"]})
    del now.environment["GONE"]
    found = as_deployed._with_secrets_of(make(**names), now, name=NAME)
    assert isinstance(found, ScriptPlatform)
    assert {name: one.get_secret_value() for name, one in found.environment.items()} == {**names, "TOKEN": "new"}
    assert found.rotates == ["TOKEN", "GONE"]


async def test_production_s_secrets_go_to_no_address_that_someone_edited(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Although `status` fails by the address of the release and answers by the other one."""
    script = (tmp_path / "shop.sh").read_text()
    was = make(TOKEN="new-token", API_URL="good")
    now = make(API_URL="evil")
    platform = await to_roll_back(was, now, monkeypatch)
    (tmp_path / "shop.sh").write_text(
        script.replace("#!/bin/sh\n", '#!/bin/sh\n[ "$1" != status ] || [ "$API_URL" = evil ] || exit 7\n', 1)
    )
    platform = await as_deployed.load_platform_to_roll_back(NAME, field="production.platform")  # type: ignore[assignment]
    assert {name: one.get_secret_value() for name, one in platform.environment.items()} == {"TOKEN": "new-token", "API_URL": "good"}


async def test_rotated_secrets_that_status_needs_count(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of the release are refused by now; they keep their two tries, and `status` and `verify` are read with the present ones."""
    monkeypatch.setattr(effects, "AGAIN_SECONDS", 0)
    was = make(TOKEN="new-token")
    (tmp_path / "private").touch()
    await to_roll_back(was, make(TOKEN="newest"), monkeypatch)
    (tmp_path / "token").write_text("newest")
    (tmp_path / "shop.sh").write_text(SCRIPT.replace("status)", 'verify) [ "$TOKEN" = "$(cat token)" ] ;;\nstatus)'))
    platform = await as_deployed.load_platform_to_roll_back(NAME, field="production.platform")
    await platform.abort(await platform.acquire_lease("rollback", takeover=True))
    assert (tmp_path / "version").read_text() == "1.0\n"
    assert [line.split()[0] for line in (tmp_path / "asked").read_text().splitlines()] == ["new-token", "newest"] * 2
    position = await platform.current()
    assert (position["baseline"], position["ready"], position.get("trouble")) == ("1.0", {"1.0": True}, None)


def hosts_of(block: ScriptPlatform) -> ScriptHosts:
    """Give the same scripts on a host."""
    fields = {name: getattr(block, name) for name in ("service", "address", "scripts", "environment", "rotates")}
    return ScriptHosts(**fields, hosts=["web-1"], user="deploy", key=SecretStr("key"), known_hosts=[KEY_LINE])


@pytest.mark.parametrize("on_hosts", [False, True], ids=["here", "on hosts"])
@pytest.mark.parametrize("fails", list(product([False, True], repeat=3)), ids=str)
async def test_however_status_answered_before_the_scripts_of_a_rollback_get_their_tries_with_the_secrets_of_the_release(
    fails: tuple[bool, ...], make: Make, monkeypatch: pytest.MonkeyPatch, *, on_hosts: bool
) -> None:
    """A version that answers `status` unsteadily must not leave the rollback to a value that others wrote into the block."""
    was, now = make(TOKEN="new-token"), make(TOKEN="evil-token")
    said = iter(fails)

    async def load(_: str) -> Block:
        return hosts_of(now) if on_hosts else now

    async def answers(_: Block) -> as_deployed.Answer:
        return as_deployed.Answer("exit 7", is_refused=True) if next(said) else as_deployed.Answer()

    monkeypatch.setattr(as_deployed, "present_block", load)
    found = await as_deployed._with_those_that_serve(NAME, hosts_of(was) if on_hosts else was, answers, of=NAME, now=NAME)
    assert isinstance(found, as_deployed.SCRIPTS)
    assert found.environment["TOKEN"].get_secret_value() == "new-token"
    assert found._kept.environment["TOKEN"].get_secret_value() == "evil-token"
    assert found._kept.reads is (fails == (True, False, True))


async def test_what_present_secrets_read_proves_no_run_with_them_while_those_of_the_release_have_a_try(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They may be of an account of others, where all is well; the release's script fails once, and `status` fails until it has acted."""
    monkeypatch.setattr(effects, "AGAIN_SECONDS", 0)
    await to_roll_back(make(TOKEN="new-token"), make(TOKEN="evil-token"), monkeypatch)
    evil = '[ "$TOKEN" != evil-token ] || { [ "$1" != status ] || echo 1.0; exit 0; }'
    (tmp_path / "shop.sh").write_text(
        SCRIPT.replace("case", f"{evil}\ncase")
        .replace("rollback)", 'rollback) [ "$(wc -l <asked)" -gt 1 ] &&')
        .replace("status)", 'status) [ "$(cat version)" = 1.0 ] || exit 7;')
    )
    platform = await as_deployed.load_platform_to_roll_back(NAME, field="production.platform")
    await platform.abort(await platform.acquire_lease("rollback", takeover=True))
    assert (tmp_path / "version").read_text() == "1.0\n"
    assert [line.split()[0] for line in (tmp_path / "asked").read_text().splitlines()] == ["new-token", "evil-token", "new-token"]


@pytest.mark.parametrize(
    "fault", ["exit 75", "sleep 9", "[ -e passed ] || { touch passed; exit 7; }"], ids=["asks again", "hangs", "passes"]
)
async def test_a_status_that_does_not_answer_for_a_moment_lets_no_other_secrets_count(
    fault: str, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever edited the block has a variable with which it answers."""
    was = make(TOKEN="new-token").model_copy(update={"reading_timeout_seconds": 0.5})
    await to_roll_back(was, make(TOKEN="evil"), monkeypatch)
    (tmp_path / "shop.sh").write_text(SCRIPT.replace("status)", f'status) [ "$TOKEN" = evil ] || {{ {fault}; }};'))
    platform = await as_deployed.load_platform_to_roll_back(NAME, field="production.platform")
    assert platform.environment["TOKEN"].get_secret_value() == "new-token"  # type: ignore[attr-defined]


async def test_a_rollback_script_that_fails_is_run_once_more_with_rotated_secrets(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`status` needs no secret, so only the script shows that the old ones do not serve; the rest of the block is that of the release."""
    platform = await to_roll_back(make(TOKEN="old-token"), make("evil", TOKEN="new-token", DEPLOY_TO="evil", PATH="/evil"), monkeypatch)
    await platform.abort(await platform.acquire_lease("rollback", takeover=True))
    assert (tmp_path / "version").read_text() == "1.0\n"
    asked = [line.split() for line in (tmp_path / "asked").read_text().splitlines()]
    assert [line[0] for line in asked] == ["old-token", "new-token"]
    assert "evil" not in (tmp_path / "asked").read_text()


async def test_secrets_that_do_not_serve_either_fail_the_rollback_which_names_the_file(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Four runs in all, however often the rollback is tried."""
    monkeypatch.setattr(effects, "AGAIN_SECONDS", 0)
    platform = await to_roll_back(make(TOKEN="old-token"), make(TOKEN="other-token"), monkeypatch)
    lease = await platform.acquire_lease("rollback", takeover=True)
    for _ in range(2):
        with pytest.raises(RolloutFailed, match=r"exited with 1.*places/script_shop\.kept; remove it") as caught:
            await platform.abort(lease)
        assert "token" not in str(caught.value)
    assert [line.split()[0] for line in (tmp_path / "asked").read_text().splitlines()] == ["old-token", "other-token"] * 2


async def test_a_fault_that_passes_costs_no_rollback_whatever_others_wrote_into_a_rotated_secret(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The secrets take turns, so that those of the release are tried once more."""
    monkeypatch.setattr(effects, "AGAIN_SECONDS", 0)
    platform = await to_roll_back(make(TOKEN="new-token"), make(TOKEN="evil-token"), monkeypatch)
    (tmp_path / "shop.sh").write_text(SCRIPT.replace("rollback)", 'rollback) [ "$(wc -l <asked)" -gt 1 ] &&'))
    await platform.abort(await platform.acquire_lease("rollback", takeover=True))
    assert (tmp_path / "version").read_text() == "1.0\n"
    assert [line.split()[0] for line in (tmp_path / "asked").read_text().splitlines()] == ["new-token", "evil-token", "new-token"]
