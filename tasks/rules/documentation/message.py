"""What the commit of a deployment's page says."""

from __future__ import annotations

from blocks.outside_text import outside

DOCUMENTS = "Shipway-Documents"
SUBJECT_LIMIT = 72


def page_message(subject: str, run: str) -> str:
    """Write the message of a page's commit, with the trailer by which it is found again.

    Args:
        subject: What was deployed or rolled back.
        run: The run's id.
    """
    return f"{outside(subject, limit=SUBJECT_LIMIT)}\n\n{DOCUMENTS}: {outside(run)}\n"
