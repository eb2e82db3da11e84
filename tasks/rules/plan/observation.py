"""Plan section for what is looked at after a release has ended as deployed, by short runs, so that no process is held."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.rules.plan.types import Section


class Observation(Section):
    """Observation: production is looked at again for hours after a deployment, as post-deploy does."""

    hours: Annotated[float, Field(ge=0, le=168)] = 0
    """For how long after the deployment; 0 looks no further."""
    every_minutes: Annotated[int, Field(ge=5, le=1_440)] = 15
    """Time between two looks; a failure is looked at again after a minute."""
    on_failure: Literal["tell", "roll_back"] = "tell"
    """If a check fails in two looks in a row: `tell` the receivers of `notify`, or tell them and `roll_back` all of production."""

    def in_words(self) -> list[str]:
        """Say what happens after the deployment, in a sentence; none if it is not looked at again."""
        if not self.hours:
            return []
        then = "told, and nothing is changed" if self.on_failure == "tell" else "told, and all of production is rolled back"
        looks = f"For {self.hours:g} h after the deployment it is looked at again each {self.every_minutes} min, with no process in between"
        return [f"{looks}. What fails in two looks in a row is {then}."]
