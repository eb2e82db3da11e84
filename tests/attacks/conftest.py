"""Fixtures of the attacks: the stage and the runner of the flow tests."""

from __future__ import annotations

from tests.flows.conftest import runner, stage, theatre, visitors

__all__ = ["runner", "stage", "theatre", "visitors"]
