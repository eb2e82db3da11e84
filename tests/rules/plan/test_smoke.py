"""Smoke tests in a plan: requests or pytest, each mistake with its place and its fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.rules.plan.file import Problem, read_plan
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.smoke import Performance, SmokeTest
from tasks.rules.rollout.steps import longest_seconds

PLAN = """\
shipway: 1
service: guestbook
tests: [{{junit: reports/junit.xml}}]
judgement: {{slis: [{{name: availability, indicator: errors}}]}}
staging: {{platform: local/staging}}
production: {{platform: local/production, steps: [{{percent: 100}}]}}
approval: {{quorum: 0}}
rollback: {{}}
verification:
  health: [{{path: /healthz}}]
  smoke: [{smoke}]
"""
STEP = "{{name: a, steps: [{{path: /, {}}}]}}"
TIMED = "{{name: a, kind: performance, performance: {{{}}}, steps: [{{path: /, expect: {{within_seconds: 1}}}}]}}"


def read(smoke: str) -> tuple[Plan | None, list[Problem]]:
    """Read a plan with these smoke tests."""
    return read_plan(PLAN.format(smoke=smoke), name="shipway.yaml")


FAULTS = [
    ("{name: a}", "steps: a smoke test needs `pytest` or `steps`"),
    ("{name: a, pytest: a.py, steps: [{path: /}]}", "steps: a smoke test has `pytest` or `steps`, not both"),
    ("{name: a, steps: []}", "steps: has 0 entries"),
    ("{name: a, steps: [{}]}", "steps[0].path: `path` is missing"),
    ("{name: a, pytest: ../a.py}", "pytest: `../a.py` leads out of the plan's folder"),
    ("{name: a, pytest: a.py}, {name: a, pytest: b.py}", "verification.smoke: `a` is listed twice"),
    (STEP.format("path: fine"), "steps[0].path: `path` is written twice"),
    (STEP.format("method: get"), "steps[0].method: `get` must be 'GET'"),
    (STEP.format("expect: {status: 99}"), "expect.status[0]: must be at least 100"),
    (STEP.format("expect: {status: [200, 600]}"), "expect.status[1]: `600` must be at most 599"),
    (STEP.format("expect: {status: ok}"), "expect.status[0]: must be a whole number"),
    (STEP.format("expect: {status: []}"), "expect.status: has 0 entries"),
    (STEP.format("expect: {json: {version: x}}"), "expect.json.version: 'version' is not a JSON Pointer"),
    (STEP.format("expect: {json: {/a~2: x}}"), "expect.json./a~2: '/a~2' is not a JSON Pointer"),
    (STEP.format("expect: {json: {/a: .inf}}"), "expect.json./a: this is not JSON"),
    (STEP.format("expect: {headers: {X: '*'}}"), "expect.headers.X: the pattern is not a regular expression"),
    (STEP.format("expect: {with_seconds: 1}"), "Did you mean `within_seconds`?"),
    (STEP.format(r'headers: {X: "a\r\nY: b"}'), "headers.X: a header's value has a line break"),
    (STEP.format(r'headers: {"X\r\nY": b}'), r"'X\r\nY' is not the name of a header"),
    (STEP.format("headers: {content-length: '1'}"), "the header `content-length` is written by the client itself"),
    (STEP.format("headers: {x: a}, secret_headers: {X: credential/b}"), "secret_headers: the header `x` is written twice"),
    (STEP.format("secret_headers: {X: token}"), "secret_headers.X: `token` does not fit. Write a credential block"),
    (STEP.format("json: {/version: x}"), "steps[0].json: `json` is the body of the request, which GET does not send. Write `expect: {json"),
    (STEP.format("method: POST, json: {}, body: x"), "steps[0].body: a request has one body, and `json` is one already"),
    (STEP.format("method: POST, json: 0, form: {a: b}"), "steps[0].form: a request has one body"),
    (STEP.format("body: " + "x" * 100_001), "steps[0].body: `xxx"),
    (STEP.format("method: PUT, json: [" + "xxxxxxxxxx," * 9_500 + "]"), "steps[0].json: this has 133,000 bytes as JSON, more than 100,000"),
    (STEP.format("method: PUT, json: .nan"), "steps[0].json: this is not JSON"),
    (STEP.format("form: {a: 1}"), "steps[0].form.a: `1` is read as a number or as yes/no by YAML, but must be text"),
    ("{name: a, kind: performance, steps: [{path: /}]}", "performance: without a baseline, as in staging, nothing limits the time"),
    ("{name: a, kind: performance, performance: {}, pytest: a.py}", "performance: only `steps` of `kind: performance` are compared"),
    ("{name: a, performance: {}, steps: [{path: /}]}", "performance: only `steps` of `kind: performance` are compared"),
    (TIMED.format("repeats: 20"), "performance.repeats: 20 repeats are too few for the quantile 0.9. Write 29 or more"),
    (TIMED.format("quantile: 0.99"), "performance.repeats: 30 repeats are too few for the quantile 0.99. Write 299"),
    (TIMED.format("max_ratio: 0.5"), "performance.max_ratio: `0.5` must be at least 1"),
    (TIMED.format("concurrency: 51"), "performance.concurrency: `51` must be at most 50"),
]  # fmt: skip


@pytest.mark.parametrize(("smoke", "expected"), FAULTS, ids=[f"{expected[:60]} {i}" for i, (_, expected) in enumerate(FAULTS)])
def test_a_mistake_is_named_once_with_its_field(smoke: str, expected: str) -> None:
    """One line, at its place, in the plan's own words."""
    plan, problems = read(smoke)
    assert plan is None
    assert len(problems) == 1, problems
    assert expected in str(problems[0])
    assert str(problems[0]).startswith("shipway.yaml:11:")
    assert len(str(problems[0]).splitlines()) == 1


@pytest.mark.parametrize(
    "smoke",
    [
        "{name: a, pytest: smoke/test_a.py, kind: performance, timeout_seconds: 5}",
        STEP.format("body: a GET may have one"),
        STEP.format("expect: {status: [200, 204], json: {'': {}, /a~1b/0: null, /v: ['{version}', 1.0, true]}}"),
        STEP.format("method: POST, form: {name: ada}, secret_headers: {Authorization: credential/token}"),
    ],
)
def test_what_is_right_is_read_and_read_again(smoke: str) -> None:
    """A plan is kept as JSON and read from there; nothing changes on the way, and an old plan stays valid."""
    plan, problems = read(smoke)
    assert problems == []
    assert plan is not None
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan


def test_a_number_is_read_as_json_reads_it() -> None:
    """An exponent makes a number, with and without a point; quotes make text."""
    expect = "expect: {json: {/a: 1e2, /b: -2.5E-1, /c: '1e2', /d: 1.e, /e: 1e}}"
    plan, problems = read(STEP.format(expect))
    assert problems == []
    assert plan is not None
    steps = plan.verification.smoke[0].steps or []
    assert steps[0].expect.json_values == {"/a": 100.0, "/b": -0.25, "/c": "1e2", "/d": "1.e", "/e": "1e"}


def test_a_performance_test_is_compared_unless_pytest_does_it() -> None:
    """Steps of this kind have the comparison's defaults where nothing is said."""
    timed = SmokeTest.model_validate({"name": "a", "kind": "performance", "steps": [{"path": "/", "expect": {"within_seconds": 1}}]})
    assert timed.performance == Performance()
    assert SmokeTest(name="a", kind="performance", pytest="a.py").performance is None


def test_the_longest_time_counts_turns_and_performance_tests_one_by_one() -> None:
    """Five tests of 60 s by twos take 180 s before the traffic; with two of 60 s behind them, each whole verification takes 300 s."""
    many = ", ".join(f"{{name: a{i}, pytest: a.py}}" for i in range(5))
    timed = ", ".join(f"{{name: p{i}, pytest: a.py, kind: performance}}" for i in range(2))
    none, some = (read(smoke)[0] for smoke in ("", f"{many}, {timed}"))
    assert none is not None
    assert some is not None
    narrow = some.model_copy(update={"verification": some.verification.model_copy(update={"smoke_concurrency": 2})})
    assert longest_seconds(narrow) - longest_seconds(none) == (60 + 120) + 2 * (60 + 120 + 120)


def test_the_example_uses_both_ways() -> None:
    """The guestbook's plan shows requests, pytest, and a comparison."""
    plan, _ = read_plan((Path(__file__).parents[3] / "examples/guestbook/shipway.yaml").read_bytes(), name="shipway.yaml")
    assert plan is not None
    smoke = plan.verification.smoke
    assert any(test.steps for test in smoke)
    assert any(test.pytest for test in smoke)
    assert any(test.performance for test in smoke)
