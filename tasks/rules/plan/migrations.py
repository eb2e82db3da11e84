"""Plan section for migrations: Jobs that change what the service's versions share, before or after a deployment."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tasks.rules.plan.types import Name, RepositoryPath, Seconds, Section, fault, refuse_doubles

When = Literal["before", "after"]
Compatibility = Literal["expand", "contract"]
Where = Literal["staging", "production"]
EVERYWHERE: tuple[Where, ...] = ("staging", "production")


class Migration(Section):
    """A migration: a Job that runs once in every release as long as the plan names it."""

    name: Name
    """Its name in records, in the Job's own name, and in the questions of a rollback."""
    manifest: RepositoryPath
    """A Kubernetes Job, YAML or JSON, in the plan's folder. `{version}` is filled in in images, commands, arguments and values."""
    when: When
    """`before` the version is deployed to the environment, or `after` the previous baseline is removed there."""
    compatibility: Compatibility
    """`expand`: the previous version still works with it. `contract`: it does not, so a rollback past it needs a confirmation."""
    because: Annotated[str, Field(max_length=500)] = ""
    """Why the baseline still works with a contract that runs before; required there, and shown to approvers."""
    environments: Annotated[list[Where], Field(min_length=1, max_length=2)] = Field(default_factory=lambda: list(EVERYWHERE))
    """The environments in which it runs. Default: both."""
    timeout_seconds: Seconds = 600
    """A Job that takes longer is stopped and has failed."""

    @model_validator(mode="after")
    def _is_borne(self) -> Self:
        refuse_doubles(list(self.environments))
        if self.compatibility == "contract" and self.when == "before" and not self.because.strip():
            wrong = f"the contract `{self.name}` runs before, while the baseline still serves, which it would break"
            fix = "Write `when: after`, or say in `because` why the baseline works with it."
            raise fault(wrong, fix=fix)
        return self


def _each_once(migrations: list[Migration]) -> list[Migration]:
    refuse_doubles([migration.name for migration in migrations])
    return migrations


Migrations = Annotated[list[Migration], Field(max_length=20), AfterValidator(_each_once)]
