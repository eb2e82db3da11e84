"""`shipway status` says which hosts a release goes on without."""

from __future__ import annotations

from flows.commands.status import _targets
from tests.rules.rollout.test_left_out import left


def test_the_hosts_that_are_left_out_are_named_with_who_left_them_out() -> None:
    """Who looks at the release while it runs knows that it will not serve everywhere."""
    assert _targets([left("web-3")]).endswith("web-3 is left out in production by ada")
