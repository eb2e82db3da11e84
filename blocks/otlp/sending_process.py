"""Process that sends the spans of one trace: `python -m blocks.otlp.sending_process` reads them from its standard input.

It reads one JSON object: `endpoint`, `headers`, `trace` and `spans`, each with `name`, `id`, `parent` ("" for none), `begin` and `end` in
nanoseconds since the epoch, `attributes` and `fault` ("" for none). It writes one: `fault`, "" if the collector took them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blocks.sending import SECONDS, answer, taken

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


REDIRECTS = 300


def main(given: dict[str, Any]) -> None:
    """Send the spans, and write what was wrong: never what the collector answered, which may quote a header.

    Args:
        given: As it was read.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - only this process needs it
    from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415
    from requests import Response, Session  # noqa: PLC0415

    fault, answers = "", list[int]()

    def note(response: Response, **_: Any) -> None:
        answers.append(response.status_code)

    session = Session()
    session.hooks["response"].append(note)
    try:
        exporter = OTLPSpanExporter(endpoint=given["endpoint"], headers=given["headers"], timeout=SECONDS, session=session)
        if exporter.export([_span(one, trace=given["trace"]) for one in given["spans"]]) is not SpanExportResult.SUCCESS:
            fault = "it refused them, or did not answer"
        elif not answers or answers[-1] >= REDIRECTS:  # which the library takes for success
            fault = f"it answered with a redirect ({answers[-1:]}); write the address that it leads to"
    except Exception as error:  # noqa: BLE001 - of any library below; its words may hold a header that is a secret
        fault = type(error).__name__
    answer(fault)


def _span(one: dict[str, Any], *, trace: str) -> ReadableSpan:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags  # noqa: PLC0415
    from opentelemetry.trace.status import Status, StatusCode  # noqa: PLC0415

    def context(number: str) -> SpanContext:
        return SpanContext(int(trace, 16), int(number, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        name=one["name"],
        context=context(one["id"]),
        parent=context(one["parent"]) if one["parent"] else None,
        resource=Resource({"service.name": "shipway"}),
        attributes=one["attributes"],
        kind=SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, one["fault"]) if one["fault"] else Status(StatusCode.OK),
        start_time=one["begin"],
        end_time=one["end"],
    )


if __name__ == "__main__":
    main(taken())
