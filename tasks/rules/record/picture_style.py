"""The colours and lines of pictures: Okabe and Ito's palette (2008), told apart by people who see few colours."""

from __future__ import annotations

from typing import Literal

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
CARD = {
    "ink": "#1c2430", "soft": "#566273", "rule": "#d9dee6", "paper": "#ffffff",
    "canary": "#c04a00", "baseline": "#0a5c99", "good": "#0b6b45", "bad": "#b01e2e", "limit": "#6b2fa0",
}  # fmt: skip
RULES = """
.shipway-picture text{font-family:FONT;font-size:12px;fill:var(--ink)}
.shipway-picture .card{fill:var(--paper);stroke:var(--rule)}
.shipway-picture .title{font-size:14px;font-weight:600}
.shipway-picture .tick{font-size:11.5px;fill:var(--soft);font-variant-numeric:tabular-nums}
.shipway-picture .middle{text-anchor:middle}.shipway-picture .end{text-anchor:end}
.shipway-picture .step{font-weight:600}
.shipway-picture .grid{stroke:var(--rule);stroke-width:1}.shipway-picture .axis{stroke:var(--soft);stroke-width:1}
.shipway-picture .boundary{stroke:var(--soft);stroke-width:1}
.shipway-picture .limit{stroke:var(--limit);stroke-width:1.5;stroke-dasharray:1.5 4;stroke-linecap:round}
.shipway-picture .limit-text{fill:var(--limit)}
.shipway-picture .canary-line{fill:none;stroke:var(--canary);stroke-width:2.2;stroke-linejoin:round}
.shipway-picture .baseline-line{fill:none;stroke:var(--baseline);stroke-width:2;stroke-dasharray:7 4;stroke-linejoin:round}
.shipway-picture .canary-mark{fill:var(--canary)}
.shipway-picture .baseline-mark{fill:var(--paper);stroke:var(--baseline);stroke-width:1.6}
.shipway-picture .canary-shade{fill:var(--canary);fill-opacity:.1}
.shipway-picture .hatch{stroke:var(--canary);stroke-width:1.1;stroke-opacity:.4}
.shipway-picture .canary-band{stroke:var(--canary);stroke-width:.9;stroke-opacity:.7}
.shipway-picture .baseline-band{fill:var(--baseline);fill-opacity:.13;stroke:var(--baseline);stroke-width:.9;stroke-opacity:.7;
stroke-dasharray:3 3}
.shipway-picture .canary-text{fill:var(--canary);font-weight:600}.shipway-picture .baseline-text{fill:var(--baseline);font-weight:600}
.shipway-picture .small{font-size:11.5px;font-weight:400}
.shipway-picture .decision{fill:none;stroke:var(--ink);stroke-width:1.4}
.shipway-picture .outcome-failed{fill:var(--bad);font-weight:600}.shipway-picture .outcome-passed{fill:var(--good);font-weight:600}
.shipway-picture .outcome-open{fill:var(--soft)}
.shipway-picture .layer{stroke-width:1.1}.shipway-picture .layer-0{fill:var(--baseline);stroke:var(--baseline)}
.shipway-picture .layer-1{stroke:var(--canary)}.shipway-picture .layer-2{stroke:var(--bad)}
.shipway-picture .lines-1{stroke:var(--canary);stroke-width:2}.shipway-picture .lines-2{stroke:var(--bad);stroke-width:2.2}
.shipway-picture .halo{stroke:var(--paper);stroke-width:5;stroke-opacity:.85}
"""


def stylesheet(style: Literal["page", "card"]) -> str:
    """Give a picture's rules; a `card` brings its own colours, since no page's variables reach it.

    Args:
        style: Where the picture will stand.

    Returns:
        CSS text without anything to escape.
    """
    rules = RULES.replace("FONT", FONT).strip().replace("\n", "")
    if style == "page":
        return rules
    for name, colour in CARD.items():
        rules = rules.replace(f"var(--{name})", colour)
    return rules
