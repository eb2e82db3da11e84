"""Parts of one work that do not depend on each other: what fails for one of them keeps no other from its turn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import get_run_logger
from prefect.exceptions import MissingContextError

from blocks.outside_text import error_text


@contextmanager
def apart(what: str) -> Iterator[None]:
    """Log an error that this part raises, and let what follows go on.

    Args:
        what: What the part is about, for the log.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever one run's tags, labels or record hold, the other runs have their turn
        try:
            logger: logging.Logger | logging.LoggerAdapter[Any] = get_run_logger()
        except MissingContextError:
            logger = logging.getLogger("shipway")
        logger.warning("%s is left out this time: %s", what, error_text(error) or type(error).__name__)
