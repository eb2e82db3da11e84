"""Every platform takes what flows give it: a parameter that one of them lacks would end a rollback by a TypeError."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from blocks import platform as protocols
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.local.platform import LocalPlatform
from blocks.script.hosts.platform import ScriptHosts
from blocks.script.platform import ScriptPlatform
from tasks.gitops.platform import GitOpsPlatform
from tests.tasks.fake_platform import FakePlatform

PLATFORMS = [LocalPlatform, KubernetesPlatform, ScriptPlatform, ScriptHosts, GitOpsPlatform, FakePlatform]
PROTOCOLS = [
    one
    for one in vars(protocols).values()
    if inspect.isclass(one) and getattr(one, "_is_protocol", False) and one.__module__ == protocols.__name__
]


def methods(protocol: type) -> list[str]:
    """List what a protocol asks for."""
    return [name for name, member in vars(protocol).items() if inspect.isfunction(member) and not name.startswith("_")]


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda one: str(one.__name__))
def test_each_method_of_the_protocol_takes_what_the_protocol_says(platform: Any) -> None:
    """By name and kind; what is optional in the protocol is so in the platform."""
    for protocol in PROTOCOLS:
        names = methods(protocol)
        if protocol is not protocols.Platform and not all(hasattr(platform, name) for name in names):
            continue
        for name in names:
            asked = inspect.signature(getattr(protocol, name)).parameters
            taken = inspect.signature(getattr(platform, name)).parameters
            for parameter in asked.values():
                found = taken.get(parameter.name)
                assert found is not None, f"{platform.__name__}.{name} does not take {parameter.name}"
                assert found.kind == parameter.kind
                assert (found.default is inspect.Parameter.empty) <= (parameter.default is inspect.Parameter.empty)
            more = [one.name for one in taken.values() if one.name not in asked and one.default is inspect.Parameter.empty]
            assert more == [], f"{platform.__name__}.{name} needs more than the protocol gives"


def test_the_protocols_are_found() -> None:
    """Or the test above looks at nothing."""
    assert {"Platform", "RollsBack", "Composed"} <= {one.__name__ for one in PROTOCOLS}
    assert {"abort", "prepare", "logs"} <= set(methods(protocols.Platform))
