"""The published schema and the reference plan say what the models say."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.commands.check import schema_text
from tasks.rules.plan.file import read_plan
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.types import Section
from tasks.rules.plan.yaml_tree import read_tree
from tasks.rules.policy import policy
from tasks.rules.policy.rules import conflicts
from tasks.rules.record import document

DOCS = Path(__file__).parents[2] / "docs"


def schemas_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk the plan and each of its sections."""
    yield "Plan", schema
    yield from schema["$defs"].items()


def test_the_published_schema_is_that_of_the_models() -> None:
    """docs/plan.schema.json is what `shipway check --schema` prints today."""
    published = (DOCS / "plan.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "run `shipway check --schema > docs/plan.schema.json`"


def test_the_published_schema_of_the_record_is_that_of_the_models() -> None:
    """docs/record.schema.json is what `make schema` writes today."""
    assert (DOCS / "record.schema.json").read_text(encoding="utf-8") == document.schema_text(), "run `make schema`"


def test_the_published_schema_of_policies_is_that_of_the_models() -> None:
    """docs/policy.schema.json is what `make schema` writes today."""
    assert (DOCS / "policy.schema.json").read_text(encoding="utf-8") == policy.schema_text(), "run `make schema`"


def test_the_example_of_a_policy_is_right_shows_every_field_and_the_example_plan_keeps_it() -> None:
    """examples/policy.yaml is what a platform team begins with."""
    text = (DOCS.parent / "examples/policy.yaml").read_text(encoding="utf-8")
    found, problems = policy.read_policy(text, name="policy.yaml")
    assert problems == []
    assert found is not None
    fields = {name for _, schema in schemas_of(policy.Policy.model_json_schema()) for name in schema["properties"]}
    assert fields - {path[-1] for path in read_tree(text).keys} == {"ics"}  # in a comment: until it names a calendar, production is closed
    assert "# - {ics: " in text
    plan, _ = read_plan((DOCS.parent / "examples/guestbook/shipway.yaml").read_bytes(), name="shipway.yaml")
    assert plan is not None
    assert conflicts(plan, [found]) == []


@pytest.mark.parametrize("model", [Plan, policy.Policy])
def test_every_field_is_described_and_bounded(model: type[Section]) -> None:
    """No field is left without a description, no list and no number without a bound."""
    for section, schema in schemas_of(model.model_json_schema()):
        for name, field in schema["properties"].items():
            kinds = [field, *field.get("anyOf", ())]
            assert field.get("description"), f"{section}.{name}"
            assert all("maxItems" in kind for kind in kinds if kind.get("type") == "array"), f"{section}.{name}"
            numbers = [kind for kind in kinds if kind.get("type") in {"number", "integer"} and "const" not in kind]
            assert all(kind.keys() & {"maximum", "exclusiveMaximum"} for kind in numbers), f"{section}.{name}"


def test_the_reference_plan_is_right() -> None:
    """docs/plan.yaml passes its own check."""
    plan, problems = read_plan((DOCS / "plan.yaml").read_bytes(), name="docs/plan.yaml")
    assert problems == []
    assert plan is not None


def test_the_reference_plan_shows_every_field_with_a_comment() -> None:
    """Every field of every section is in docs/plan.yaml, and the first line that shows it says why."""
    text = (DOCS / "plan.yaml").read_text(encoding="utf-8")
    tree, lines = read_tree(text), text.splitlines()
    first: dict[str, int] = {}
    for path, (line, _) in sorted(tree.keys.items(), key=lambda entry: entry[1]):
        first.setdefault(str(path[-1]), line)
    for section, schema in schemas_of(Plan.model_json_schema()):
        for name in schema["properties"]:
            assert name in first, f"{section}.{name} is not in docs/plan.yaml"
            assert "#" in lines[first[name] - 1], f"{section}.{name} has no comment in docs/plan.yaml"


def test_the_reference_plan_states_the_defaults_of_the_models() -> None:
    """A default in a comment of docs/plan.yaml is the model's own."""
    text = (DOCS / "plan.yaml").read_text(encoding="utf-8")
    for _, schema in schemas_of(Plan.model_json_schema()):
        for name, field in schema["properties"].items():
            default = field.get("default")
            if isinstance(default, int | float) and not isinstance(default, bool):
                shown = [line for line in text.splitlines() if line.strip().removeprefix("- ").startswith(f"{name}:")]
                wanted = f"Default: {json.dumps(default).removesuffix('.0')}"
                assert any(wanted in line for line in shown), f"{name}: {wanted}"
