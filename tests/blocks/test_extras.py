"""Extras: what is missing is said before it is needed."""

from __future__ import annotations

import pytest

from blocks import extras
from blocks.errors import BadInput


def test_a_missing_extra_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Field, extra, what is missing, and what to do."""
    monkeypatch.setitem(extras.EXTRAS, "data", ("json", "no_such_module"))
    with pytest.raises(BadInput) as refused:
        extras.require("data", field="data", otherwise="Or leave it out.")
    assert str(refused.value) == (
        "data: this needs the extra `data` of Shipway, and no_such_module cannot be found. "
        "Install it: pip install 'shipway[data]'. Or leave it out."
    )


@pytest.mark.parametrize("extra", sorted(extras.EXTRAS))
def test_an_installed_extra_is_not_an_obstacle(extra: str) -> None:
    """The lock includes all of them."""
    extras.require(extra, field="platform")
