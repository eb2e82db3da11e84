"""Query check: have Prometheus parse the plan's queries before a release depends on them."""

from __future__ import annotations

from blocks.prometheus.prometheus import Prometheus
from tasks.analysis.source_prometheus import queries
from tasks.rules.plan.plan import Plan, PrometheusPairSli, PrometheusSli

WORDS = {"environment": "production", "target": "", "role": "canary", "version": "1.0", "revision": "1", "namespace": "default"}
LONGEST_SHOWN = 200
Place = tuple[str | int, ...]


async def check_queries(prometheus: Prometheus, plan: Plan) -> list[tuple[Place, str]]:
    """Have every query parsed.

    Args:
        prometheus: The block that the plan names.
        plan: The plan.

    Returns:
        The field's path in the plan, and the server's error.

    Raises:
        Temporary, Refused, BadInput: The server cannot be queried.
    """
    found: list[tuple[Place, str]] = []
    async with prometheus.client() as client:
        for index, sli in enumerate(plan.judgement.slis):
            if isinstance(sli, PrometheusSli | PrometheusPairSli):
                for field, query in queries(sli, {**WORDS, "service": plan.service}).items():
                    said = await client.check(query)
                    shown = " ".join(query.split())[:LONGEST_SHOWN]
                    found += [(("judgement", "slis", index, field), f"Prometheus cannot read `{shown}`: {said}")] if said else []
    return found
