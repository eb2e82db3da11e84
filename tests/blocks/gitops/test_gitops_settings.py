"""The settings of a GitOps platform: what is wrong is named with its field and its fix, in a file of blocks as anywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from blocks.gitops.gitops import ENGINE, FILE, GIT, KUBERNETES, MAYBE_NAME, VALUE, FileEdit, GitOps
from tasks.rules.plan.blocks_file import read_blocks
from tasks.rules.plan.types import PATTERN_WORDS

GOOD = """
gitops/shop-production:
  git: git/shop
  engine: argocd-application/shop-production
  platform: kubernetes/shop-production
  edits:
    - file: apps/shop/values.yaml
      path: image.tag
"""


def read(text: str) -> tuple[dict[str, Any], list[str]]:
    """Read a file of blocks that may hold this type alone."""
    found, problems = read_blocks(text, name="blocks.yaml", kinds={"gitops": GitOps}, environ={})
    return dict(found), [str(problem) for problem in problems]


def test_a_file_of_blocks_may_hold_one() -> None:
    """Three blocks and one value are enough; the version itself is what is written."""
    found, problems = read(GOOD)
    assert problems == []
    block = found["gitops/shop-production"]
    assert (block.mode, block.drift, block.without_git, block.edits[0].value) == ("workload", "refuse", "require", "{version}")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("      path: image.tag\n", "", "edits[0]: the edit of apps/shop/values.yaml names no value. Give it one of `path`, `image`"),
        ("path: image.tag", "path: image.tag\n      image: shop", "edits[0]: the edit of apps/shop/values.yaml names path and image. Give"),
        ("path: image.tag", "path: image.tag\n      source: a", "edits[0]: `source` belongs to `target_revision`. Leave it out."),
        ("path: image.tag", "image: shop\n      resource: A/b", "edits[0]: `resource` does not belong to `image`. Leave it out"),
        ("path: image.tag", "path: image.tag\n      value: 1.0", "edits[0].value: "),
        ("file: apps", "file: /apps", "edits[0].file: `/apps/shop/values.yaml` does not fit"),
        ("git: git/shop", "git: local/shop", "git: `local/shop` does not fit"),
        ("platform: kubernetes/", "platform: gitops/", "platform: `gitops/shop-production` does not fit"),
        ("  edits:", "  drift: maybe\n  edits:", "drift: "),
        (
            "path: image.tag",
            "path: image.tag\n    - {file: apps/shop/values.yaml, path: image.tag}",
            "is edited twice. Keep one of the two",
        ),
    ],
)
def test_what_is_wrong_is_named_with_field_and_fix(before: str, after: str, said: str) -> None:
    """One problem, which begins with file and line."""
    found, problems = read(GOOD.replace(before, after))
    assert found == {}
    assert len(problems) == 1
    assert problems[0].startswith("blocks.yaml:")
    assert said in problems[0]


WEIGHTS = (
    GOOD
    + """  mode: weights
  canary_edits:
    - {file: apps/shop/canary.yaml, path: image.tag}
  weights:
    - {file: apps/shop/route.yaml, path: "spec.rules[0].backendRefs[name=shop].weight", of: baseline}
    - {file: apps/shop/route.yaml, path: "spec.rules[0].backendRefs[name=shop-canary].weight", of: canary}
"""
)


def test_a_canary_by_weights_in_git_has_its_own_edits_and_a_weight_for_each_side() -> None:
    """The names of its Deployment and Service are those of the workload with `-canary`."""
    found, problems = read(WEIGHTS)
    assert problems == []
    block = found["gitops/shop-production"]
    assert ([one.of for one in block.weights], block.canary_workload) == (["baseline", "canary"], "")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("  mode: weights\n", "", "`canary_edits` belongs to `mode: weights`. Set the mode, or leave it out."),
        ("apps/shop/canary.yaml", "apps/shop/values.yaml", "a value of apps/shop/values.yaml is edited twice"),
        ("of: canary", "of: baseline", "`weights` has 2 of the baseline and 0 of the canary. Name the weight"),
        ("[name=shop-canary]", "[name=shop]", "a value of apps/shop/route.yaml is edited twice"),
        ("  canary_edits:\n    - {file: apps/shop/canary.yaml, path: image.tag}\n", "", "`mode: weights` needs `canary_edits`"),
        ("of: canary", "of: both", "weights[1].of: "),
    ],
)
def test_weights_that_do_not_belong_together_are_named(before: str, after: str, said: str) -> None:
    """Each rule has one of either."""
    found, problems = read(WEIGHTS.replace(before, after))
    assert (found, len(problems)) == ({}, 1)
    assert said in problems[0]


def test_every_pattern_has_a_fix_in_words() -> None:
    """So that no reader is sent to look it up."""
    assert {ENGINE, FILE, GIT, KUBERNETES, MAYBE_NAME, VALUE} <= set(PATTERN_WORDS)


def test_the_documented_fields_of_an_image_are_those_that_can_be_set() -> None:
    """docs/gitops.md names each, and none besides."""
    text = (Path(__file__).parents[3] / "docs" / "gitops.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| a field of an entry of kustomize's `images`")]
    assert set(re.findall(r"`(new\w+|digest)`", row)) == set(get_args(FileEdit.model_fields["field"].annotation))
