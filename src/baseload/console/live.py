"""News of the overview: one reckoning a step for all who look, each with a stream of its own.

In:     open pages.
Out:    server-sent events, the first at once with the whole picture; a comment every 15 seconds, so that a proxy does
not close the stream. Where nobody looks nothing is reckoned.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from baseload.console.pages import overview
from baseload.console.view import allow, language
from baseload.control.context import Context
from baseload.errors import Refusal

STEP_S, HEARTBEAT_S, STREAMS_MAX = 2.0, 15.0, 200
LONGEST_S = 3600.0  # then the browser comes again, and its session is looked at again


class Board:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._made_s: dict[str, float] = {}
        self._text: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self._streams = 0

    async def serve(self, request: Request) -> Response:
        allow(request, "grid.read")
        if self._streams >= STREAMS_MAX:
            raise Refusal("Too many pages are open.", "Close some.", code="too_many_streams", status=503)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._events(language(request)), media_type="text/event-stream", headers=headers)

    async def _events(self, code: str) -> AsyncIterator[str]:
        self._streams += 1
        try:
            begun, told, spoke = time.monotonic(), "", time.monotonic()
            while time.monotonic() - begun < LONGEST_S and not self._context.stopping.is_set():
                text = await self._now(code, begun)
                if text != told:
                    told, spoke = text, time.monotonic()
                    yield f"event: overview\ndata: {text}\n\n"
                elif time.monotonic() - spoke > HEARTBEAT_S:
                    spoke = time.monotonic()
                    yield ": here\n\n"
                await asyncio.sleep(STEP_S)
        finally:
            self._streams -= 1

    async def _now(self, code: str, begun_s: float) -> str:
        """Not older than the page that looks: it would go back in time."""
        async with self._lock:
            made_s = self._made_s.get(code, 0.0)
            if made_s < begun_s or time.monotonic() - made_s >= STEP_S * 0.9:
                found = await run_in_threadpool(overview.news, self._context, code)
                self._text[code], self._made_s[code] = json.dumps(found, separators=(",", ":")), time.monotonic()
            return self._text[code]
