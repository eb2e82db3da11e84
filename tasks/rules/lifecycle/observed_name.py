"""How what is observed is named, beside the approval key."""

from __future__ import annotations

import hashlib

from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import production_of


def observed_name(plan: Plan) -> str:
    """Name what is observed of a service where its plan deploys it: another plan may call its service by the same name."""
    blocks = "\n".join(sorted(place.platform for place in production_of(plan)))
    return f"{plan.service}-{hashlib.sha256(blocks.encode()).hexdigest()[:12]}"
