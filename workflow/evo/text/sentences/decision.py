"""Sentences on which variant to ship, and why."""

from __future__ import annotations

from .sentence import says, says_of

SENTENCES = {
    "ship": says("Ship %(variant)s on %(board)s."),
    "ship_none_yet": says("No variant can be recommended for %(board)s yet."),
    "ship_none_passes": says("No complete variant passes the gates of %(board)s."),
    "why_none_yet": says("A recommendation needs a complete variant with a measured int8 accuracy."),
    "why_none_passes": says("The gates that each of them misses are listed below."),
    "why_only_one": says(
        "It is the only complete variant that passes the gates: int8 mAP50-95 %(accuracy)s on val, estimated latency "
        "%(latency)s (Vela).",
        accuracy="metric",
        latency="latency",
    ),
    "why_ahead": says_of(
        "It passes the gates and has the highest int8 mAP50-95 on val, %(accuracy)s, at least %(noise)s ahead of the "
        "other variant that passes; estimated latency %(latency)s (Vela).",
        "It passes the gates and has the highest int8 mAP50-95 on val, %(accuracy)s, at least %(noise)s ahead of the "
        "other %(others)s variants that pass; estimated latency %(latency)s (Vela).",
        "others",
        accuracy="metric",
        noise="number",
        latency="latency",
    ),
    "why_no_latency": says(
        "It passes the gates with int8 mAP50-95 %(accuracy)s on val. Differences below %(noise)s are noise, so "
        "accuracy does not separate it from %(others)s, and for none of these is the latency of the whole network "
        "known.",
        accuracy="metric",
        noise="number",
    ),
    "why_accurate_and_fast": says(
        "It passes the gates and has the highest int8 mAP50-95 on val, %(accuracy)s. Differences below %(noise)s are "
        "noise, so accuracy does not separate it from %(others)s, but it has the lowest estimated latency of these: "
        "%(latency)s (Vela).",
        accuracy="metric",
        noise="number",
        latency="latency",
    ),
    "why_fast": says(
        "It passes the gates with int8 mAP50-95 %(accuracy)s on val. The highest is %(highest)s (%(best)s), but "
        "differences below %(noise)s are noise, and of the %(close)s variants within that range this one has the "
        "lowest estimated latency: %(latency)s (Vela).",
        accuracy="metric",
        highest="metric",
        noise="number",
        latency="latency",
    ),
}
