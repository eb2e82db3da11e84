"""The section of the plan that names migrations: Jobs that change what the service's versions share, before or after a version comes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tasks.rules.plan.types import Name, RepositoryPath, Seconds, Section, fault, refuse_doubles

When = Literal["before", "after"]
Compatibility = Literal["expand", "contract"]
Where = Literal["staging", "production"]
EVERYWHERE: tuple[Where, ...] = ("staging", "production")


class Migration(Section):
    """A Job that runs once in every release while it stands in the plan."""

    name: Name
    """Its name in records, in the Job's own name, and in what a rollback asks for."""
    manifest: RepositoryPath
    """A Kubernetes Job, YAML or JSON, in the plan's folder. `{version}` is filled in where images, commands, arguments and values are."""
    when: When
    """`before` the environment gets the version, or `after` the former version is retired there."""
    compatibility: Compatibility
    """`expand`: the former version can go on with it. `contract`: it cannot, so no rollback crosses it unasked."""
    because: Annotated[str, Field(max_length=500)] = ""
    """Why the version that still serves bears a contract that runs before; needed there, and shown to approvers."""
    environments: Annotated[list[Where], Field(min_length=1, max_length=2)] = Field(default_factory=lambda: list(EVERYWHERE))
    """Where it runs. Default: both."""
    timeout_seconds: Seconds = 600
    """A Job that has not succeeded by then is ended and has failed."""

    @model_validator(mode="after")
    def _is_borne(self) -> Self:
        refuse_doubles(list(self.environments))
        if self.compatibility == "contract" and self.when == "before" and not self.because.strip():
            wrong = f"the contract `{self.name}` runs before, while the former version still serves, which it would break"
            fix = "Write `when: after`, or say in `because` why the former version bears it."
            raise fault(wrong, fix=fix)
        return self


def _each_once(migrations: list[Migration]) -> list[Migration]:
    refuse_doubles([migration.name for migration in migrations])
    return migrations


Migrations = Annotated[list[Migration], Field(max_length=20), AfterValidator(_each_once)]
