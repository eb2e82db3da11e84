"""What a release would set in Git is approved: by value, in production."""

from __future__ import annotations

from typing import Any

from tasks.evidence.inputs import _read_edits
from tests.tasks.fake_platform import FakePlatform


class EditingPlatform(FakePlatform):
    """Deploys by an edit of one value."""

    def __init__(self, value: str) -> None:
        """Stand with this value in Git."""
        super().__init__()
        self.value = value

    async def edits(self, version: str) -> list[str]:
        """Say what would be set."""
        return [f"values.yaml image.tag: {self.value} → {version}"]


async def test_only_what_production_would_set_is_approved() -> None:
    """Staging is deployed before people are asked, and a platform without files has nothing to say."""
    platforms: dict[str, Any] = {
        "staging": EditingPlatform("1.0"),
        "production/eu": EditingPlatform("1.0"),
        "production/us": FakePlatform(),
    }
    found = await _read_edits(platforms, "1.1")
    assert found == {"production/eu": ("values.yaml image.tag: 1.0 → 1.1",)}
    assert await _read_edits({**platforms, "production/eu": EditingPlatform("1.0.1")}, "1.1") != found
