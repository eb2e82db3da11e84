"""What a bad version costs the users: `python -m benchmarks.exposure [--by gateway|node] [--runs N]`; KUBECONFIG names a cluster.

podinfo, four pods, 50 requests a second; a version of which a third of the answers are errors comes, first step 25 %. Through the gateway
it comes by weights, and the gateway's own counts are judged; through the node's port of its Service it comes by pods, each request in a
connection of its own, and Prometheus (SHIPWAY_PROMETHEUS_URL) counts. A client outside counts seconds and bad answers from the first bad
answer to the last. The settings of the verdict are the plan's defaults; a good version passes in the same ones, without a bad answer.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from typing import Any

from benchmarks.exposure.stage import Stage, raised
from tests.cluster.cluster_world import Visitor

RIVAL_SECONDS, RIVAL_BAD = 13.2, 67  # Argo Rollouts, analysis every 5 s over 10 s, one failure allowed, on the same cluster
STEPS = [{"percent": 25, "watch_seconds": 60}, {"percent": 50, "watch_seconds": 60}, {"percent": 100, "watch_seconds": 60}]
BY_GATEWAY = {"name": "errors", "indicator": "errors"}
BY_PROMETHEUS = {
    **BY_GATEWAY,
    "source": "prometheus",
    "selector": 'pod_template_hash="{revision}",namespace="{namespace}"',
    "bad_status": "[45]..",
}


async def main(*, by: str, runs: int) -> None:
    """Release a good version and a bad one, so many times."""
    seconds, answers = [], []
    routed = by == "gateway"
    judgement = {"slis": [BY_GATEWAY if routed else BY_PROMETHEUS], "interval_seconds": 0.2, "inconclusive": "rollback"}
    print(f"by {by}")
    async with raised(replicas=4, production={"strategy": "canary", "steps": STEPS}, judgement=judgement, gateway=routed) as stage:
        for number in range(1, runs + 1):
            good = await _visited(stage, "6.9.1", broken=False, keep_alive=routed)
            assert good["state"] == "Deployed", good
            print(f"   run {number}: good version {good['state']}, {good['bad']} bad of {good['answers']} answers", flush=True)
            bad = await _visited(stage, "6.9.2", broken=True, keep_alive=routed)
            assert bad["state"] == "RolledBack", bad
            seconds.append(bad["seconds"])
            answers.append(bad["bad"])
            print(f"   run {number}: bad version {bad['state']}, {bad['bad']} bad answers in {bad['seconds']:.2f} s", flush=True)
            again = await _visited(stage, "6.9.0", broken=False, keep_alive=routed)
            assert again["state"] == "Deployed", again
    span, count = statistics.median(seconds), statistics.median(answers)
    print(f"   median {span:.2f} s and {count:g} bad answers; against {RIVAL_SECONDS} s and {RIVAL_BAD}:", end=" ")
    print(f"ratio {span / RIVAL_SECONDS:.2f} and {count / RIVAL_BAD:.2f} (2.6 s and 13 are asked for)")


async def _visited(stage: Stage, version: str, *, broken: bool, keep_alive: bool) -> dict[str, Any]:
    await stage.break_next(broken=broken)
    async with Visitor(stage.url, per_second=50, keep_alive=keep_alive).visiting() as visitor:
        await asyncio.sleep(3)
        state = await stage.release(version)
        await asyncio.sleep(3)
    moments = [one.at for one in visitor.bad]
    span = max(moments) - min(moments) if moments else 0.0
    return {"state": state.name, "message": state.message, "bad": len(moments), "answers": len(visitor.answers), "seconds": span}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by", choices=["gateway", "node", "both"], default="both")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    for way in ("gateway", "node"):
        if arguments.by in {way, "both"}:
            asyncio.run(main(by=way, runs=arguments.runs))
