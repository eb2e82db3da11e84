"""Rules of counts from several hosts: one service's requests are the sum of what its hosts counted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from blocks.platform import Counts

ALL = "+Inf"


def summed(by_host: Mapping[str, Mapping[str, Counts]]) -> dict[str, Counts]:
    """Sum the counts of each version; the counts begin anew if those of any host do, or if other hosts count.

    Args:
        by_host: What each host counted, by version.
    """
    versions = list(dict.fromkeys(version for counts in by_host.values() for version in counts))
    return {version: _sum({host: counts[version] for host, counts in by_host.items() if version in counts}) for version in versions}


def _sum(found: Mapping[str, Counts]) -> Counts:
    """Sum counts; of the histograms the bounds that all have are kept."""
    lives = "\n".join(f"{host} {counts['started']}" for host, counts in sorted(found.items()))
    each = list(found.values())
    bounds = [bound for bound in each[0]["buckets"] if bound != ALL and all(bound in one["buckets"] for one in each)]
    requests = sum(one["requests"] for one in each)
    buckets = {bound: sum(one["buckets"][bound] for one in each) for bound in bounds}
    return Counts(
        started=f"hosts {hashlib.sha256(lives.encode()).hexdigest()[:16]}",
        requests=requests,
        errors=sum(one["errors"] for one in each),
        buckets={**buckets, ALL: sum(one["buckets"].get(ALL, one["requests"]) for one in each)},
    )
