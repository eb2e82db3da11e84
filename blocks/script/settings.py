"""The scripts of an environment, as its block names them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from blocks.script.words import PLACEHOLDERS, unknown_placeholders

Word = Annotated[str, Field(max_length=4_000)]
Command = Annotated[list[Word], Field(min_length=1, max_length=100)]
OptionalCommand = Annotated[list[Word], Field(max_length=100)]
NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
SCRIPTS = "The programs: `deploy`, `status`, `verify`, `rollback`, and `shift`, `promote`, `counts` if there are."
ENVIRONMENT = "Environment variables of the scripts, beside PATH, HOME, SHIPWAY_VERSION and the like; all values are hidden as secrets."
VERSION_ADDRESS = "With `shift`: where one version is reached past the split, with `{version}` in it."
FOLDER = "Where notes and output are kept; empty means a folder of the block's name in Shipway's home."
TIMEOUT = "After this time a script that changes something is ended, with all that it started."
READING_TIMEOUT = "The same of `status`, `verify` and `counts`."
ROTATES = (
    "Which of these variables are secrets that are rotated: a rollback may take their present values, of all others those of the release."
)


class Scripts(BaseModel):
    """Programs with their arguments, each as a list that no shell reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    deploy: Command = Field(
        description="Deploys `{version}`; with `shift`, beside what runs and without requests. `{previous}` is the version that it "
        "replaces, empty if nothing runs; `{service}` is the service's name."
    )
    status: Command = Field(
        description="Prints the version that runs, in one line, or nothing. With `shift`: `VERSION CANARY PERCENT` while there is a "
        "canary, `-` for a version that is not there."
    )
    verify: Command = Field(description="Exits with 0 if `{version}` is well, with 75 if it is to be asked again.")
    rollback: Command = Field(
        description="Has `{previous}` serve again and removes `{version}`; `{previous}` is empty if nothing ran before."
    )
    shift: OptionalCommand = Field(
        default_factory=list,
        description="Sends `{percent}` of the requests to `{version}`. Empty: `deploy` replaces what runs in one step.",
    )
    promote: OptionalCommand = Field(
        default_factory=list, description="With `shift`: retires `{previous}` once `{version}` has all requests."
    )
    counts: OptionalCommand = Field(default_factory=list, description="Prints the requests and errors of each version as OpenMetrics text.")

    @model_validator(mode="after")
    def _is_what_is_meant(self) -> Self:
        """Refuse what would be filled in nowhere, or never be run."""
        for name, command in self.given().items():
            if not command[0].strip():
                raise fault(f"`{name}` has an empty program", fix="Write the program first, then its arguments.")
            if unknown := unknown_placeholders(name, command):
                known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS[name])
                raise fault(f"`{name}` does not know {', '.join(unknown)}", fix=f"It knows {known}.")
        if self.promote and not self.shift:
            raise fault("`promote` stands without `shift`", fix="Without shares nothing is left to retire: remove it.")
        return self

    def given(self) -> dict[str, list[str]]:
        """Give each command that there is, by its field."""
        commands = {name: list(getattr(self, name)) for name in PLACEHOLDERS}
        return {name: command for name, command in commands.items() if command}


def fault(wrong: str, *, fix: str) -> PydanticCustomError:
    """Build an error that separates what is wrong from what to write instead, as the reader of a blocks file shows it."""
    return PydanticCustomError("plan_fault", "{wrong}. {fix}", {"wrong": wrong, "fix": fix})
