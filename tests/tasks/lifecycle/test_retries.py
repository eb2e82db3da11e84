"""What is retried and what is remembered: in real flow runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow, task
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

from blocks.errors import BadInput, Permanent, Refused, Temporary, Unreachable
from tasks.approval.forms import QUESTION, approval_form_for
from tasks.lifecycle import retries
from tasks.lifecycle.clock import seconds_until
from tasks.lifecycle.retries import OBSERVE, OBSERVE_PLATFORM, ONCE, PATIENCE_SECONDS, another_try_helps, another_try_reaches, retried
from tasks.rollout.platforms import load_approvers, load_platform
from tasks.rules.approval.gates import Gate
from tests.local_environments import MakeLocal

on_server = [pytest.mark.server, pytest.mark.usefixtures("server")]


@task(**ONCE)
async def act(path: str, error: str, *, key: str) -> int:  # noqa: ARG001
    """Leave a mark, and fail where asked."""
    marks = Path(path)
    marks.write_text((marks.read_text() if marks.exists() else "") + "x")  # noqa: ASYNC240
    if error and len(marks.read_text()) == 1:  # noqa: ASYNC240
        raise {"temporary": Temporary("busy"), "refused": Refused("no"), "strange": ValueError("?")}[error]
    return len(marks.read_text())  # noqa: ASYNC240


@task(**OBSERVE)
async def look(path: str) -> int:
    """Read how many marks there are."""
    return len(Path(path).read_text())  # noqa: ASYNC240


@flow
async def course(path: str, key: str, error: str = "") -> int:
    """Act as a release does."""
    return await act(path, error, key=key)


@flow
async def observed(path: str) -> list[int]:
    """Look before and after a change."""
    before = await look(path)
    Path(path).write_text("xxxx")  # noqa: ASYNC240
    return [before, await look(path)]


class TestOnTheServer:
    """Flow runs with their results persisted."""

    pytestmark = on_server

    async def test_what_is_done_under_a_key_is_done_once_whatever_run_asks(self, tmp_path: Path) -> None:
        """A second run of the flow gets the first one's result; another key acts again."""
        path, key = str(tmp_path / "marks"), uuid4().hex
        assert [await course(path, key), await course(path, key), await course(path, f"{key}-2")] == [1, 1, 2]

    @pytest.mark.parametrize("error", ["refused", "strange"])
    async def test_an_error_is_neither_tried_again_nor_remembered(self, tmp_path: Path, error: str) -> None:
        """The next attempt of the release acts anew."""
        path, key = tmp_path / "marks", uuid4().hex
        with pytest.raises((Refused, ValueError)):
            await course(str(path), key, error)
        assert path.read_text() == "x"
        assert await course(str(path), key, error) == 2

    async def test_what_is_temporary_is_tried_again_in_the_same_run(self, tmp_path: Path) -> None:
        """A server that is busy costs a moment."""
        assert await course(str(tmp_path / "marks"), uuid4().hex, "temporary") == 2

    async def test_a_look_is_never_remembered(self, tmp_path: Path) -> None:
        """The world may have changed since."""
        (tmp_path / "marks").write_text("x")
        assert await observed(str(tmp_path / "marks")) == [1, 4]

    async def test_a_platform_is_found_by_its_name(self, make_local: MakeLocal) -> None:
        """A saved block comes back as the platform it was; it does not hold approvers."""
        name = f"test-{uuid4().hex[:8]}"
        platform = make_local()
        await platform.save(name)  # type: ignore[misc]
        assert (await load_platform(f"local/{name}", field="staging.platform")).folder == platform.folder  # type: ignore[attr-defined]
        with pytest.raises(BadInput, match="does not hold approvers"):
            await load_approvers(f"local/{name}")

    async def test_a_block_that_is_not_a_platform_is_said_with_its_field(self) -> None:
        """A secret in the wrong place, and a name that no one has."""
        block = f"secret/test-{uuid4().hex[:8]}"
        await Secret(value="x").save(block.partition("/")[2])  # type: ignore[misc]
        with pytest.raises(BadInput, match=r"staging\.platform: the block .* is not a platform"):
            await load_platform(block, field="staging.platform")
        for name in ("local/absent", "no-such-type/x"):
            with pytest.raises(BadInput, match="cannot be read"):
                await load_platform(name, field="staging.platform")


@pytest.mark.parametrize(
    ("error", "helps"),
    [(Temporary("x"), True), (Permanent("x"), False), (Refused("x"), False), (OSError("x"), False), (None, False)],
    ids=str,
)
def test_only_the_temporary_is_tried_again(error: Exception | None, helps: bool) -> None:  # noqa: FBT001
    """A stranger's error may have acted before it came, so it is not repeated blindly."""
    assert another_try_helps(act, None, Failed(data=error)) is helps  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "tries", "helps"),
    [
        (Temporary("x"), 4, True),
        (Temporary("x"), 5, False),
        (Unreachable("x"), 5, True),
        (Unreachable("x"), 28, True),
        (Refused("x"), 1, False),
    ],
    ids=str,
)
def test_a_platform_that_no_one_reaches_is_tried_for_longer_than_any_other(error: Exception, tries: int, helps: bool) -> None:  # noqa: FBT001
    """A canary that is not ready is given up after seconds, since users feel it; an API server that restarts is waited for."""
    run = TaskRun(task_key="x", dynamic_key="0", run_count=tries)
    assert another_try_reaches(act, run, Failed(data=error)) is helps  # type: ignore[arg-type]
    assert 100 < sum(PATIENCE_SECONDS) < 180


@pytest.mark.parametrize(
    ("error", "tries"),
    [(Temporary("x"), 5), (Unreachable("x"), 29), (Refused("x"), 1), (OSError("x"), 1)],
    ids=["late", "away", "no", "odd"],
)
async def test_what_is_read_without_a_run_is_tried_as_often_as_its_task(
    monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int
) -> None:
    """A target beside others is waited for as one alone is."""
    tried: list[str] = []
    slept: list[float] = []

    @task(**OBSERVE_PLATFORM)
    async def read(what: str) -> None:
        tried.append(what)
        raise error

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(retries.asyncio, "sleep", sleep)
    with pytest.raises(type(error)):
        await retried(read)("x")
    assert (len(tried), len(slept)) == (tries, tries - 1)
    assert all(wanted <= real <= 1.3 * wanted for wanted, real in zip(PATIENCE_SECONDS, slept, strict=False))


def test_a_moment_that_has_passed_is_not_time_away() -> None:
    """No one sleeps for a negative time."""
    assert seconds_until(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert 59 < seconds_until(datetime.now(UTC) + timedelta(seconds=60)) <= 60


def test_the_form_offers_the_approvers_by_name() -> None:
    """A selection, a code of eight digits or a signature, an optional comment, the question above them and in the schema."""
    now = datetime.now(UTC)
    fields = {"run": "run-1", "name": "production", "digest": "ab" * 32, "service": "guestbook", "version": "1.1", "requester": "rita"}
    times = {"opened_at": now, "expires_at": now + timedelta(hours=1), "nonce": "0f" * 16}
    gate = Gate.model_validate({**fields, **times, "approvers": ("anna", "ben")})
    form = approval_form_for(gate, description="## May it go on?")
    schema = form.model_json_schema()
    assert schema["properties"]["approver"]["enum"] == ["anna", "ben"]
    assert set(schema["required"]) == {"decision", "approver"}
    assert schema[QUESTION] == gate.asked().model_dump(mode="json")
    assert form(decision="approve", approver="anna", code="1234 5678").comment == ""  # type: ignore[attr-defined, call-arg]
    assert form(decision="approve", approver="anna", signature="-----BEGIN SSH SIGNATURE-----").code == ""  # type: ignore[attr-defined, call-arg]
    for wrong in ({"approver": "eve"}, {"code": "123456"}, {"code": "abcdefgh"}, {"decision": "perhaps"}, {"signature": "x" * 8_193}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            form(**{"decision": "approve", "approver": "anna", "code": "12345678", **wrong})
