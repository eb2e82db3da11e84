"""Local platforms for the tests of the blocks."""

from tests.local_environments import make_local, shared_folder, shared_lease, shared_local

__all__ = ["make_local", "shared_folder", "shared_lease", "shared_local"]
