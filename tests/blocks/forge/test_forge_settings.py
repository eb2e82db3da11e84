"""The settings of pull requests: what is wrong is named with its field and its fix, and no secret is shown or kept in plain text."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from blocks.errors import BadInput
from blocks.forge.settings import REPOSITORY, PullRequests
from blocks.git.git import Git
from tasks.evidence.settings import settings_fingerprint
from tasks.rules.plan.blocks_file import read_blocks
from tasks.rules.plan.types import PATTERN_WORDS

TOKEN = "ap1-t0ken"
GOOD = """
git/shop:
  remote: https://github.com/shop/deploy.git
  token: {env: T}
  pull_requests:
    forge: github
    repository: shop/deploy
    token: {env: T}
"""


def read(text: str) -> tuple[dict[str, Any], list[str]]:
    """Read a file of blocks that may hold this type alone."""
    found, problems = read_blocks(text, name="blocks.yaml", kinds={"git": Git}, environ={"T": TOKEN})
    return dict(found), [str(problem) for problem in problems]


def test_a_file_of_blocks_may_hold_them() -> None:
    """Forge and repository are enough: people merge, and a rollback is pushed."""
    found, problems = read(GOOD)
    assert problems == []
    settings = found["git/shop"].pull_requests
    assert (settings.url, settings.merge, settings.method, settings.revert) == ("https://api.github.com", False, "merge", "push")
    assert settings.plain_token(None) == TOKEN
    assert TOKEN not in repr(found) + found["git/shop"].model_dump_json()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("forge: github", "forge: bitbucket", "pull_requests.forge: "),
        ("repository: shop/deploy", "repository: deploy", "pull_requests: `deploy` is not a repository of github. Write `owner/name`"),
        ("repository: shop/deploy", "repository: shop/..", "pull_requests: `shop/..` is not a repository of github"),
        ("repository: shop/deploy", "repository: 'shop/deploy?x'", "pull_requests.repository: `shop/deploy?x` does not fit"),
        (
            "    forge: github",
            "    api: http://git.example.com/api/v3\n    forge: github",
            "api: the token would be sent unencrypted. Use https",
        ),
        ("    forge: github", "    api: https://me@git.example.com\n    forge: github", "api: this is not the address of an API."),
        ("    forge: github", "    method: octopus\n    forge: github", "pull_requests.method: "),
        ("    forge: github", "    revert: later\n    forge: github", "pull_requests.revert: "),
        ("    forge: github", "    merge_timeout_seconds: 0\n    forge: github", "pull_requests.merge_timeout_seconds: "),
        ("    forge: github", "    merges: true\n    forge: github", "merges"),
    ],
)
def test_what_is_wrong_is_named_with_field_and_fix(before: str, after: str, said: str) -> None:
    """One problem, which begins with file and line."""
    found, problems = read(GOOD.replace(before, after))
    assert found == {}
    assert len(problems) == 1
    assert problems[0].startswith("blocks.yaml:")
    assert said in problems[0]
    assert TOKEN not in problems[0]


def test_a_loopback_needs_no_encryption_and_a_slash_at_the_end_is_not_another_address() -> None:
    """As a forge behind a tunnel has it."""
    assert PullRequests(forge="gitlab", repository="1", api="http://127.0.0.1:8080/api/v4/").url == "http://127.0.0.1:8080/api/v4"


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ümlaut"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_quoted(token: str) -> None:
    """And so is none at all."""
    settings = PullRequests(forge="github", repository="a/b", token=SecretStr(token))
    with pytest.raises(BadInput, match=r"pull_requests.token: ") as raised:
        settings.plain_token(None)
    assert not token or token not in str(raised.value)
    with pytest.raises(BadInput, match="pull requests need a token"):
        PullRequests(forge="github", repository="a/b").plain_token(None)


def test_each_setting_is_part_of_what_is_approved() -> None:
    """Whoever can edit the block cannot have a change merged otherwise than was approved."""
    base: dict[str, Any] = {"forge": "gitlab", "repository": "a/b", "token": SecretStr("one")}
    others: list[dict[str, Any]] = [
        {"forge": "github"},
        {"repository": "a/c"},
        {"api": "https://git.example.com/api/v4"},
        {"token": SecretStr("two")},
        {"merge": True},
        {"method": "squash"},
        {"revert": "pull_request"},
        {"merge_timeout_seconds": 5},
    ]
    remote = "https://git.example.com/shop.git"
    found = {settings_fingerprint(Git(remote=remote, pull_requests=PullRequests(**{**base, **one}))) for one in [{}, *others]}
    assert len(found | {settings_fingerprint(Git(remote=remote))}) == 2 + len(others)


def test_people_read_how_the_change_goes_in() -> None:
    """In one line of the check, the form and the record."""
    said = PullRequests(forge="github", repository="shop/deploy", merge=True, method="squash").words("main")
    assert said.startswith(
        "the change goes in by a pull request of shop/deploy into main, at https://api.github.com: Shipway merges it (squash)"
    )
    assert "within 3600 s; a rollback is pushed to the branch" in said
    assert "people merge it" in PullRequests(forge="gitlab", repository="1").words("main")


def test_every_pattern_has_a_fix_in_words() -> None:
    """So that no reader is sent to look it up."""
    assert REPOSITORY in PATTERN_WORDS
