"""A block's edits as edits of a version."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from blocks.errors import BadInput
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.settings import edits_of, expecting, places_named
from tasks.rules.gitops.targets import ApplicationRevision, KustomizeImage, YamlPath
from tasks.rules.policy.owners import FILE


@dataclass
class Fields:
    """The fields of an edit, as a block has them."""

    file: str = "apps/values.yaml"
    path: str = ""
    image: str = ""
    field: str = "newTag"
    target_revision: bool = False
    source: str = ""
    resource: str = ""
    value: str = "{version}"


def test_each_kind_of_target_is_written_with_the_version() -> None:
    """A path, an entry of kustomize, the revision of an Application with one source or several."""
    fields = [
        Fields(path="image.tag", resource="Deployment/web", value="v{version}"),
        Fields(image="web", field="newName", value="example.com/web-{version}"),
        Fields(target_revision=True),
        Fields(target_revision=True, source="1"),
        Fields(target_revision=True, source="charts", resource="Application/web"),
    ]
    assert edits_of(fields, "1.2") == (
        Edit("apps/values.yaml", YamlPath("image.tag", "Deployment/web"), "v1.2"),
        Edit("apps/values.yaml", KustomizeImage("web", "newName"), "example.com/web-1.2"),
        Edit("apps/values.yaml", ApplicationRevision(None, None), "1.2"),
        Edit("apps/values.yaml", ApplicationRevision(1, None), "1.2"),
        Edit("apps/values.yaml", ApplicationRevision("charts", "Application/web"), "1.2"),
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (Fields(path="image..tag"), r"edits\[1\].path: `image..tag` is not a path, from character 6 on. Write keys"),
        (Fields(file="../values.yaml", path="image.tag"), r"edits\[1\].file: the path '../values.yaml' leaves the repository's files"),
        (Fields(file=".git/config", path="image.tag"), r"edits\[1\].file: the path '.git/config' leaves the repository's files"),
    ],
)
def test_a_path_that_cannot_be_is_refused_by_its_number(fields: Fields, said: str) -> None:
    """Field and fix stay what they are."""
    with pytest.raises(BadInput, match=said) as caught:
        edits_of([Fields(path="image.tag"), fields], "1.2")
    assert str(caught.value).count(caught.value.fix) == 1


def test_an_edit_expects_what_was_reviewed() -> None:
    """The value that was read at its place."""
    (edit,) = expecting(edits_of([Fields(path="image.tag")], "1.2"), ["1.1"])
    assert (edit.value, edit.expected) == ("1.2", "1.1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Fields(path="image.tag"), Fields(path='image["tag"]', value="v{version}"), True),
        (Fields(image="web"), Fields(path="images[name=web].newTag"), True),
        (Fields(path="image.tag"), Fields(path="image.tag", file="apps/staging.yaml"), False),
        (Fields(path="web.tag"), Fields(path="worker.tag"), False),
        (Fields(path="spec.image", resource="Deployment/web"), Fields(path="spec.image", resource="Deployment/worker"), False),
        (Fields(image="web"), Fields(image="web", field="newName"), False),
        (Fields(target_revision=True, source="1"), Fields(target_revision=True, source="2"), False),
        (Fields(target_revision=True), Fields(path="spec.source.targetRevision"), False),
    ],
)
def test_a_value_in_git_has_one_identity_however_its_path_is_written(one: Fields, other: Fields, *, same: bool) -> None:
    """Two environments that set the same value are one; two values of one file are not."""
    first, second = (values_of(each) for each in (one, other))
    assert (first == second) is same
    assert not first & values_of(one, branch="staging")


def values_of(one: Fields, *, branch: str = "main") -> set[str]:
    """Give the identities of the values that an edit sets."""
    return {
        what for words, what in places_named("git.example.com/shop", branch, edits_of([one], "1")).items() if not words.startswith(FILE)
    }


def test_a_file_in_git_has_one_identity_whichever_value_of_it_is_set() -> None:
    """However the path of the value is written."""
    one, other = (
        places_named("git.example.com/shop", "main", edits_of([each], "1"))["the file apps/shop.yaml in git.example.com/shop"]
        for each in (Fields(path="image.tag", file="apps/shop.yaml"), Fields(path="containers[0].image", file="apps/shop.yaml"))
    )
    assert one == other
