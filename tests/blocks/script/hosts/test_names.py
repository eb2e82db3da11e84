"""Names of hosts, as values."""

from __future__ import annotations

import pytest

from blocks.script.hosts.names import HostName, read_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web-1", HostName("", "web-1", 22)),
        ("deploy@web-1.example.com:2222", HostName("deploy", "web-1.example.com", 2222)),
        ("10.0.0.7:22", HostName("", "10.0.0.7", 22)),
        ("root@[2001:db8::1]:22", HostName("root", "2001:db8::1", 22)),
    ],
)
def test_a_host_is_named_as_for_ssh(text: str, name: HostName) -> None:
    """With a user and a port if need be."""
    assert read_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=id", "a b", "a@b@c", "web:0", "web:70000", "web:", "@web", "web-", "2001:db8::1", "web\n", "we$b"]
)
def test_what_is_not_a_host_is_refused(text: str) -> None:
    """Before anything is connected."""
    with pytest.raises(ValueError, match="is not a host"):
        read_name(text)
