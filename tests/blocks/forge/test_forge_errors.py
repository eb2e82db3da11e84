"""A forge that refuses, is busy, away or not one: an error that says what to do, bounded, and never with the token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from blocks.errors import BadInput, Refused, ShipwayError, Temporary, Unreachable
from blocks.forge import client
from blocks.forge.faults import delay_of, fault_of
from blocks.forge.forge import Draft, Forge
from tests.forge_server import API_TOKEN, KINDS, ForgeServer, serving_forge
from tests.git_remotes import Repository, repository

__all__ = ["repository"]
RIGHTS = "the rights"


@pytest.fixture(params=KINDS)
def there(request: pytest.FixtureRequest, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForgeServer]:
    """Serve one forge, and the other, to a client that waits a second."""
    monkeypatch.setattr(client, "ANSWER_SECONDS", 1.0)
    with serving_forge(request.param, repository) as found:
        yield found


def forge(there: ForgeServer, **fields: Any) -> Forge:
    """Return the forge as a block names it."""
    git = there.git(**fields)
    assert git.pull_requests is not None
    return git.forge(git.pull_requests)


@pytest.mark.parametrize(
    ("status", "headers", "words", "kind", "delay"),
    [
        (401, {}, "Bad credentials", BadInput, None),
        (403, {}, "Resource not accessible", Refused, None),
        (404, {}, "Not Found", BadInput, None),
        (301, {"Location": "/other"}, "", BadInput, None),
        (307, {}, "", BadInput, None),
        (429, {"Retry-After": "7"}, "", Temporary, 7),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": "1030"}, "", Temporary, 30),
        (429, {}, "", Temporary, 60),
        (403, {"Retry-After": "9"}, "", Temporary, 9),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1012"}, "", Temporary, 12),
        (403, {}, "You have exceeded a secondary rate limit", Temporary, 60),
        (403, {"X-RateLimit-Remaining": "12", "X-RateLimit-Reset": "9999"}, "no", Refused, None),
        (500, {}, "", Unreachable, 1),
        (503, {"Retry-After": "20"}, "", Unreachable, 20),
        (408, {}, "", Unreachable, 1),
        (418, {}, "", Refused, None),
    ],
)
def test_each_answer_is_an_error_that_says_what_to_do(
    status: int, headers: dict[str, str], words: str, kind: type[ShipwayError], delay: float | None
) -> None:
    """With the delay that the forge asks for; a permission that is missing names the rights."""
    lower = {name.lower(): value for name, value in headers.items()}
    error = fault_of(status, words, lower, what="GET x", rights=RIGHTS, now=1000.0)
    assert type(error) is kind
    assert words in str(error)
    assert getattr(error, "delay_seconds", None) == delay
    if status in {401, 404} or (status == 403 and kind is Refused):
        assert RIGHTS in str(error)


@pytest.mark.parametrize(("value", "seconds"), [("0", 1), ("999999999", 3600), ("soon", 60), ("-5", 60), ("", 60)])
def test_a_delay_is_bounded_whatever_the_forge_says(value: str, seconds: float) -> None:
    """From a second to an hour."""
    assert delay_of({"retry-after": value}, now=1000.0) == seconds


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hang", "drip", "torn", "page"])
async def test_what_may_pass_by_itself_is_unreachable(there: ForgeServer, fault: str) -> None:
    """Within the time, however the answer drips."""
    there.fault, began = fault, time.monotonic()
    with pytest.raises(Unreachable) as raised:
        await forge(there).find("x")
    assert API_TOKEN not in str(raised.value)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("fault", ["gigabyte", "encoded"])
async def test_an_answer_is_bounded(there: ForgeServer, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Neither a gigabyte nor what could become one is read."""
    monkeypatch.setattr(client, "ANSWER_SECONDS", 30.0)
    there.fault = fault
    with pytest.raises(Refused, match="more than"):
        await forge(there).find("x")
    assert there.megabytes < 100


@pytest.mark.usefixtures("without_certificates")
async def test_a_bundle_of_certificates_that_is_being_replaced_is_unreachable() -> None:
    """So the request is tried again."""
    with pytest.raises(Unreachable, match="does not answer: FileNotFoundError"):
        await client.ForgeClient("https://127.0.0.1:9", {}, rights=RIGHTS).ask("GET", "/x")


async def test_the_token_goes_nowhere_else(there: ForgeServer, repository: Repository) -> None:
    """A redirection to another host is not followed, and named as what to write instead."""
    with serving_forge("github", repository) as elsewhere:
        there.fault, there.answered = "fault", (302, "moved", {"Location": f"{elsewhere.url}/repos/shop/deploy"})
        with pytest.raises(BadInput, match=r"pull_requests.api: .* redirected, and the token goes nowhere else"):
            await forge(there).check()
        assert elsewhere.asked == []


async def test_a_wrong_token_is_refused_without_being_quoted(there: ForgeServer) -> None:
    """Neither in words nor in the chain of errors."""
    there.expected = "another"
    with pytest.raises(BadInput, match=r"pull_requests.token: .* is not accepted.*Make a new one") as raised:
        await forge(there).check()
    assert API_TOKEN not in repr(raised.value) + repr(raised.value.__cause__) + repr(forge(there).__dict__)


async def test_a_forge_quotes_no_token_of_ours_in_an_error(there: ForgeServer) -> None:
    """A proxy that repeats the header in its words is cleaned as all text from outside; the address never holds the token."""
    there.fault, there.answered = "fault", (500, "away", {})
    with pytest.raises(Unreachable):
        await forge(there).find("x")
    assert all(API_TOKEN not in one for one in there.asked)


REPOSITORIES = [
    ("github", {"archived": True}, {}, Refused, "is archived"),
    ("github", {"permissions": {"push": False}}, {}, Refused, "may not push"),
    ("github", {"allow_squash_merge": False}, {"merge": True, "method": "squash"}, BadInput, "method: .* does not merge by squash"),
    ("gitlab", {"archived": True}, {}, Refused, "is archived"),
    ("gitlab", {"permissions": {"project_access": {"access_level": 20}}}, {}, Refused, "may not push"),
    ("gitlab", {"merge_method": "ff"}, {"merge": True}, BadInput, "pull_requests.method: .* does not merge by merge: it merges by ff"),
    ("gitlab", {"merge_method": "merge"}, {"merge": True, "method": "rebase"}, BadInput, "method: .* does not merge by rebase"),
    ("gitlab", {"squash_option": "never"}, {"merge": True, "method": "squash"}, BadInput, "pull_requests.method"),
    ("gitlab", {"squash_option": "always"}, {"merge": True}, BadInput, "pull_requests.method"),
    ("gitlab", {"merge_trains_enabled": True}, {"merge": True}, BadInput, "merge: .* merge trains, which a merge would go past"),
]


@pytest.mark.parametrize(("kind", "project", "fields", "error", "words"), REPOSITORIES)
async def test_a_repository_that_cannot_take_it_is_refused_before_the_release(
    repository: Repository, kind: str, project: dict[str, Any], fields: dict[str, Any], error: type[ShipwayError], words: str
) -> None:
    """It names the field, or the rights."""
    with serving_forge(kind, repository) as there:
        there.project = project
        with pytest.raises(error, match=words):
            await forge(there, **fields).check()


async def test_a_repository_that_can_take_it_passes(there: ForgeServer) -> None:
    """With merges by Shipway, too; a train or a queue is not a hindrance to people's merges."""
    await forge(there, merge=True).check()
    there.rules, there.project = ["merge_queue"], {"merge_trains_enabled": True}
    await forge(there).check()


async def test_a_merge_queue_is_never_gone_past(repository: Repository) -> None:
    """GitHub lets an account with the right do that, so it is not asked to."""
    with serving_forge("github", repository) as there:
        there.rules = ["pull_request", "merge_queue"]
        with pytest.raises(BadInput, match=r"pull_requests\.merge: main has a merge queue"):
            await forge(there, merge=True).check()
        repository.push_side("shipway/x")
        opened = await forge(there).open(Draft("shipway/x", "T", "B", "M"))
        assert "merge queue" in await forge(there, merge=True).merge(opened, Draft("shipway/x", "T", "B", "M"))
        assert not any(one.endswith("/merge") for one in there.asked)


async def test_a_second_pull_request_of_a_branch_is_not_opened(there: ForgeServer, repository: Repository) -> None:
    """The forge refuses it, and the open one is adopted."""
    repository.push_side("shipway/x")
    draft = Draft("shipway/x", "T", "B", "M")
    first = await forge(there).open(draft)
    assert (await forge(there).open(draft)).number == first.number
    assert len(there.requests.of) == 1


async def test_a_branch_of_a_fork_is_not_ours(there: ForgeServer, repository: Repository) -> None:
    """It may have the same name; what stands in it could be anything."""
    repository.push_side("shipway/x")
    await forge(there).open(Draft("shipway/x", "T", "B", "M"))
    there.requests.of[0].project = 2
    assert await forge(there).find("shipway/x") is None


async def test_a_branch_that_the_forge_does_not_know_yet_is_tried_again(there: ForgeServer) -> None:
    """It says so in its words."""
    with pytest.raises(Temporary, match="does not open a"):
        await forge(there).open(Draft("shipway/none", "T", "B", "M"))
