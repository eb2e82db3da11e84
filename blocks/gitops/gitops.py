"""GitOps platform's settings: which block is Git, which one deploys from it, where the workload runs, and what a release edits."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

GIT = r"^git/[a-z0-9-]+$"
ENGINE = r"^[a-z0-9-]+/[a-z0-9-]+$"
KUBERNETES = r"^kubernetes/[a-z0-9-]+$"
FILE = r"^[^/\\:\x00-\x1f][^\\:\x00-\x1f]*$"
MAYBE_NAME = r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"
VALUE = r"^[ -~]*\{version\}[ -~]*$"


class FileEdit(BaseModel):
    """One value of one file that says which version runs; named by `path`, by `image` or by `target_revision`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Annotated[str, Field(pattern=FILE, max_length=500)] = Field(description="From the root of the repository, with slashes.")
    path: Annotated[str, Field(max_length=500)] = Field(
        default="", description="Where the value stands: `image.tag`, `spec.template.spec.containers[name=web].image`."
    )
    image: Annotated[str, Field(max_length=500)] = Field(default="", description="Or the `name` of an entry of kustomize's `images`.")
    field: Literal["newTag", "newName"] = Field(default="newTag", description="Of that entry: which field.")
    target_revision: bool = Field(default=False, description="Or the `targetRevision` of an Argo CD Application.")
    source: Annotated[str, Field(max_length=500)] = Field(
        default="", description="Of that Application: which of several sources, by index, name, ref, chart or repoURL."
    )
    resource: Annotated[str, Field(max_length=500)] = Field(
        default="", description="Which document of several, as `Deployment/web`; empty if the value is in one alone."
    )
    value: Annotated[str, Field(pattern=VALUE, max_length=400)] = Field(
        default="{version}", description="What it becomes, with `{version}` in it, as `registry.example.com/web:{version}`."
    )

    @model_validator(mode="after")
    def _names_one_value(self) -> Self:
        """Refuse an edit that names no value, or two, or more of one than it has."""
        named = [name for name in ("path", "image", "target_revision") if getattr(self, name)]
        if len(named) != 1:
            wrong = f"the edit of {self.file} names {' and '.join(named)}" if named else f"the edit of {self.file} names no value"
            raise _fault(wrong, fix="Give it one of `path`, `image` and `target_revision`.")
        if self.source and not self.target_revision:
            raise _fault("`source` belongs to `target_revision`", fix="Leave it out.")
        if self.image and self.resource:
            raise _fault("`resource` does not belong to `image`", fix="Leave it out: a kustomization is one document.")
        return self


class Weight(BaseModel):
    """A weight of a route's rule in Git, a whole number; while nothing is released 100 for the baseline's Service, 0 for the canary's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Annotated[str, Field(pattern=FILE, max_length=500)] = Field(description="From the root of the repository, with slashes.")
    path: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        description="Where the weight stands: `spec.rules[0].backendRefs[name=web].weight`."
    )
    resource: Annotated[str, Field(max_length=500)] = Field(
        default="", description="Which document of several, as `HTTPRoute/web`; empty if the value is in one alone."
    )
    of: Literal["baseline", "canary"] = Field(description="Whose Service has this weight.")


class GitOps(Block):
    """A service that is deployed through Git: a release commits its version, Argo CD applies it, the release follows."""

    _block_type_name: ClassVar[str | None] = "GitOps"
    _block_type_slug: ClassVar[str | None] = "gitops"
    _description: ClassVar[str | None] = "Deploys by commits to Git that Argo CD applies."

    git: Annotated[str, Field(pattern=GIT, max_length=200)] = Field(description="The block of the branch, as `git/shop`.")
    engine: Annotated[str, Field(pattern=ENGINE, max_length=200)] = Field(
        description="The block of what deploys from it, as `argocd-application/shop-production`."
    )
    platform: Annotated[str, Field(pattern=KUBERNETES, max_length=200)] = Field(
        description="The block of the workload, as `kubernetes/shop-production`: for health, addresses, counts, logs and Jobs."
    )
    edits: Annotated[list[FileEdit], Field(min_length=1, max_length=20)] = Field(description="What a release sets, in one commit.")
    mode: Literal["workload", "weights"] = Field(
        default="workload",
        description="workload: in one step, through the workload's own rollout. weights: a canary that is in Git beside the workload, by a "
        "commit for each share of the requests.",
    )
    canary_edits: Annotated[list[FileEdit], Field(max_length=20)] = Field(
        default=[], description="With `weights`: what sets the version of the canary."
    )
    weights: Annotated[list[Weight], Field(max_length=40)] = Field(
        default=[], description="With `weights`: those of the route's rules, one of the baseline and one of the canary for each rule."
    )
    canary_workload: Annotated[str, Field(pattern=MAYBE_NAME)] = Field(
        default="", description="With `weights`: the canary's Deployment; empty takes the workload's name with `-canary`."
    )
    canary_service: Annotated[str, Field(pattern=MAYBE_NAME)] = Field(
        default="", description="With `weights`: the canary's Service; empty takes the name of its Deployment."
    )
    drift: Literal["refuse", "tolerate"] = Field(
        default="refuse", description="If what runs is not what Git says before a release: refuse it, or say it and go on."
    )
    without_git: Literal["require", "accept"] = Field(
        default="require",
        description="require: refuse a release that could not be rolled back while Git is unreachable. accept: release all the same.",
    )
    sync_timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=600, description="Until a commit is applied; most failures are reported within seconds."
    )
    git_patience_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        default=30, description="In a rollback: how long Git may take for the revert, before the previous state is applied without it."
    )
    rollback_patience_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        default=180,
        description="In a rollback: how long the revert may take, before the previous state is applied without it.",
    )

    @model_validator(mode="after")
    def _edits_each_value_once(self) -> Self:
        """Refuse two edits of one value."""
        seen: set[tuple[object, ...]] = set()
        images = [
            (one.file, one.path, one.image, one.image and one.field, one.target_revision, one.source, one.resource)
            for one in (*self.edits, *self.canary_edits)
        ]
        for target in (*images, *((one.file, one.path, "", "", False, "", one.resource) for one in self.weights)):
            if target in seen:
                raise _fault(f"a value of {target[0]} is edited twice", fix="Keep one of the two edits.")
            seen.add(target)
        return self

    @model_validator(mode="after")
    def _has_what_its_mode_needs(self) -> Self:
        """Refuse weights without a canary or its rest, and a canary without weights."""
        of = [one.of for one in self.weights]
        if self.mode == "workload":
            named = [name for name in ("canary_edits", "weights", "canary_workload", "canary_service") if getattr(self, name)]
            if named:
                raise _fault(f"`{named[0]}` belongs to `mode: weights`", fix="Set the mode, or leave it out.")
        elif not self.canary_edits:
            raise _fault("`mode: weights` needs `canary_edits`", fix="Name the value that says which version the canary runs.")
        elif not of or of.count("baseline") != of.count("canary"):
            fix = "Name the weight of the baseline's Service and that of the canary's for each rule of the route."
            raise _fault(f"`weights` has {of.count('baseline')} of the baseline and {of.count('canary')} of the canary", fix=fix)
        return self


def _fault(wrong: str, *, fix: str) -> PydanticCustomError:
    """Build an error that separates what is wrong from what to write instead, as the reader of a blocks file shows it."""
    return PydanticCustomError("plan_fault", "{wrong}. {fix}", {"wrong": wrong, "fix": fix})
