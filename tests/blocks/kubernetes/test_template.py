"""Which version a pod template runs, and the template of another one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from blocks.kubernetes.objects.template import (
    HASH_LABEL,
    LABEL,
    VERSION_ANNOTATION,
    VERSION_LABEL,
    container_of,
    image_for,
    label_of,
    repository_of,
    version_of,
    with_version,
    without_hash,
)

Json = dict[str, Any]


def template(*images: str, annotations: Json | None = None, labels: Json | None = None) -> Json:
    """Write a pod template with containers `c0`, `c1` and so on."""
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {"metadata": {"labels": labels or {"app": "web"}, "annotations": annotations or {}}, "spec": {"containers": containers}}


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("web", "web"),
        ("web:1.0", "web"),
        ("registry:5000/team/web", "registry:5000/team/web"),
        ("registry:5000/team/web:1.0", "registry:5000/team/web"),
        ("registry/web@sha256:abc", "registry/web"),
        ("registry/web:1.0@sha256:abc", "registry/web"),
    ],
)
def test_a_repository_keeps_the_port_of_its_registry(image: str, repository: str) -> None:
    """Tag and digest go, a port stays."""
    assert repository_of(image) == repository


def test_the_container_is_found_by_name_by_repository_or_is_the_first() -> None:
    """A sidecar before the service is not an obstacle where the image says which is meant."""
    whole = template("proxy:2", "shop/web:1.0")
    assert container_of(whole, name="c1", image="")["image"] == "shop/web:1.0"
    assert container_of(whole, name="", image="shop/web:{version}")["name"] == "c1"
    assert container_of(whole, name="", image="")["name"] == "c0"
    with pytest.raises(BadInput, match="Name one of c0, c1"):
        container_of(whole, name="c2", image="")


@pytest.mark.parametrize(
    ("pattern", "present", "image"),
    [
        ("", "shop/web:1.0", "shop/web:1.1"),
        ("", "registry:5000/web", "registry:5000/web:1.1"),
        ("", "shop/web:1.0@sha256:abc", "shop/web:1.1"),
        ("shop/web:v{version}-slim", "other:1", "shop/web:v1.1-slim"),
    ],
)
def test_the_version_takes_the_place_of_the_tag(pattern: str, present: str, image: str) -> None:
    """A digest that pinned the previous version does not pin the new one."""
    assert image_for("1.1", pattern=pattern, present=present) == image


@pytest.mark.parametrize("version", ["", "-1", "1 0", "1:0", "1/0", "a" * 129, "1.0+build", "{version}"])
def test_what_can_be_no_tag_is_refused_before_anything_is_touched(version: str) -> None:
    """The field is named, so that a form can show it."""
    with pytest.raises(BadInput) as caught:
        image_for(version, pattern="", present="web:1.0")
    assert caught.value.field == "version"


@pytest.mark.parametrize(
    ("found", "pattern", "version"),
    [
        (template("web:1.0"), "", "1.0"),
        (template("web:1.0", labels={VERSION_LABEL: "one"}), "", "one"),
        (template("web:1.0", annotations={VERSION_ANNOTATION: "1.0"}, labels={VERSION_LABEL: "old"}), "", "1.0"),
        (template("web:1.1", annotations={VERSION_ANNOTATION: "1.0"}), "", "1.1"),
        (template("web:v1.0-slim"), "web:v{version}-slim", "1.0"),
        (template("web:latest", labels={VERSION_LABEL: "1.0"}), "web:v{version}", "1.0"),
        (template("web@sha256:0123456789abcdef"), "", "0123456789ab"),
        (template("web"), "", "latest"),
    ],
)
def test_the_version_of_a_template_that_anybody_wrote(found: Json, pattern: str, version: str) -> None:
    """Our annotation counts while it fits the image; then the pattern, the recommended label, tag and digest."""
    assert version_of(found, name="", pattern=pattern) == version


versions = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z._-]{0,60}", fullmatch=True)


@given(versions, st.sampled_from(["", "shop/web:{version}", "shop/web:v{version}-slim"]))
def test_a_template_of_a_version_is_read_as_that_version(version: str, pattern: str) -> None:
    """What is written is read back, the rest stays, and the template it was made of is not touched."""
    before = template("shop/web:1.0", "proxy:2")
    kept = copy.deepcopy(before)
    new = with_version(before, version, name="", pattern=pattern, fixed_labels={})
    assert before == kept
    assert version_of(new, name="", pattern=pattern) == version
    assert new["spec"]["containers"][1] == before["spec"]["containers"][1]
    assert LABEL.fullmatch(new["metadata"]["labels"][VERSION_LABEL])


def test_a_label_that_a_selector_needs_stays() -> None:
    """A Deployment that selects by version would otherwise lose its pods."""
    before = template("web:1.0", labels={VERSION_LABEL: "1.0"})
    new = with_version(before, "1.1", name="", pattern="", fixed_labels={VERSION_LABEL: "1.0"})
    assert new["metadata"]["labels"] == {VERSION_LABEL: "1.0"}


@pytest.mark.parametrize(("version", "label"), [("1.0+b.7", "1.0_b.7"), ("a" * 62 + "..b", "a" * 62), ("1.0", "1.0")])
def test_a_version_becomes_a_label(version: str, label: str) -> None:
    """Plus signs and length are fixed as Helm does."""
    assert label_of(version) == label


def test_a_previous_template_is_as_its_deployment_had_it() -> None:
    """The hash that the cluster added goes, and the ReplicaSet's own template keeps it."""
    previous = template("web:1.0", labels={"app": "web", HASH_LABEL: "abc"})
    assert without_hash(previous)["metadata"]["labels"] == {"app": "web"}
    assert previous["metadata"]["labels"][HASH_LABEL] == "abc"
