"""Local platforms for the tests of the blocks, and a machine whose certificates cannot be read."""

from pathlib import Path

import pytest

from tests.local_environments import make_local, shared_folder, shared_lease, shared_local

__all__ = ["make_local", "shared_folder", "shared_lease", "shared_local"]


@pytest.fixture
def without_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Name a file of certificates to trust that is not there, as while it is replaced."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
