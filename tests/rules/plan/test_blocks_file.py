"""Files of blocks: every problem with its place and fix, and values from the environment."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from tasks.rules.plan.blocks_file import read_blocks


class Local(BaseModel):
    """A block like a platform."""

    service: Annotated[str, Field(min_length=1)]
    command: list[str] = []
    port: int = 0
    environment: dict[str, SecretStr] = {}


KINDS = {"local": Local}


def problems_of(text: str) -> list[str]:
    """Read a file and give its problems as people see them."""
    found, problems = read_blocks(text, name="b.yaml", kinds=KINDS, environ={"TOKEN": "hush"})
    assert not found
    return list(map(str, problems))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "b.yaml:1:1 plan: the file is empty. Begin with a block"),
        ("local/a:\n  servise: x\n", "b.yaml:2:3 local/a.servise: the field `servise` is unknown. Did you mean `service`?"),
        ("local/a:\n  service: x\n  port: many\n", "b.yaml:3:9 local/a.port: `many` must be a whole number"),
        ("slack/a: {}\n", "b.yaml:1:1 slack/a: `slack` is not a type of block that a file can hold. There are: local."),
        ("local_a: {}\n", "b.yaml:1:1 local_a: `local_a` does not fit. Write a Prefect block as `type/name`"),
        ("local/a: x\n", "b.yaml:1:1 local/a: must be a section"),
        (
            "local/a:\n  service: x\n  environment:\n    T: {env: NONE}\n",
            "b.yaml:4:5 local/a.environment.T: the environment variable NONE is not set",
        ),
        ("local/a:\n  service: x\nlocal/a:\n  service: y\n", "b.yaml:3:1 local/a: "),
    ],
)
def test_each_problem_is_said_with_its_place_and_its_fix(text: str, said: str) -> None:
    """As of a plan; nothing is read from a file that has one."""
    assert [line for line in problems_of(text) if line.startswith(said)], problems_of(text)


def test_a_value_of_the_environment_stands_where_it_is_named() -> None:
    """So no secret needs to be in the file; a mapping that only looks alike stays as it is."""
    text = "local/a:\n  service: {env: TOKEN}\n  command: [run, {env: TOKEN}]\n  environment: {T: {env: TOKEN}, env: TOKEN}\n"
    found, problems = read_blocks(text, name="b.yaml", kinds=KINDS, environ={"TOKEN": "hush"})
    assert problems == []
    block = found["local/a"]
    assert (block.service, block.command) == ("hush", ["run", "hush"])
    assert {name: value.get_secret_value() for name, value in block.environment.items()} == {"T": "hush", "env": "TOKEN"}


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    """Whatever stands in the file, there are blocks or problems, never both."""
    found, problems = read_blocks(text, name="b.yaml", kinds=KINDS, environ={})
    assert not (found and problems)
    assert all(problem.line >= 1 and problem.fix for problem in problems)
