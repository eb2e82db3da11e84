"""The warm engine of a home directory, with our flows imported. Run as `python -m flows.engine HOME`."""

from __future__ import annotations

import sys
from pathlib import Path

from blocks.server.warm import engine


def load() -> None:
    """Import the flows that import all that ours have in common; late, since the engine first notes when files were written."""
    import flows.keeper  # noqa: PLC0415
    import flows.release  # noqa: F401, PLC0415


if __name__ == "__main__":
    engine.main(Path(sys.argv[1]), load=load)
