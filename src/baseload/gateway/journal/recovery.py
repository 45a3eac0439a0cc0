"""Ends the calls a crash left open. Run at the start of a gateway, before its writer; nothing else writes meanwhile.

The rule for a hold without a reading (docs/rooms/journal.md says the same to people). The gateway does not know how the
call ended, so it never invents more than the journal proves:

1. There is a `Progress` entry: the provider had read the prompt and this much generated text had been handed to the
   client. The reading is "lost" with estimated input and output (`count_delivered`), flagged `usage_from_progress`.
   Text relayed in the last second before the crash may be missing: the error is in the payer's favour, and the flag
   invites a comparison with the provider's invoice.
2. There is none (not streamed, or under a second): nothing is proven to have been delivered. No meters, provenance
   "missing", nothing is charged, flagged `nothing_proven`: the provider may bill it, reconciliation finds it.

Both carry the flag `recovered`. The holds come from the last segment (its `Carry` and what follows); the readings that
end them are written together with the opening of a new segment, which becomes visible in one step. A recovery that is
killed has therefore either changed nothing that counts, or is complete; run again, it never makes a second reading.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from baseload.gateway.journal.entries import AnyEntry, Carry, Hold, Progress, Reading
from baseload.gateway.journal.live import Live
from baseload.gateway.journal.lock import DirectoryLock
from baseload.gateway.journal.reader import live_at_end, log_torn, read_to_end, segments, silent
from baseload.gateway.journal.segment import CLOSE, DATA_AT, Position, Torn, file_name, written_length
from baseload.gateway.journal.writer import JournalWriter

Meters = dict[str, int]
Count = Callable[[Hold, Progress | None], tuple[Meters, str, str]]

INPUT, OUTPUT = "input_uncached", "output_total"  # names of baseload.wire.usage
BYTES_PER_TOKEN = 4  # text of most languages in UTF-8 with today's tokenizers: 3 to 5


def count_delivered(hold: Hold, progress: Progress | None) -> tuple[Meters, str, str]:
    """Meters, provenance of the input and of the output, of a call that a crash cut. The rule is above.

    Output: a frame with text carries at least one token, so `frames` is a floor; a provider that puts many tokens in a
    frame is met by bytes / 4. Input: bytes of the request / 4 (JSON around the text counts too, which makes up for the
    template the provider adds), at least 1, since text was generated from it.
    """
    if progress is None or (progress.frames <= 0 and progress.text_bytes <= 0):
        return {}, "missing", "missing"
    output = max(progress.frames, progress.text_bytes // BYTES_PER_TOKEN, 1)
    meters = {INPUT: max(hold.request_bytes // BYTES_PER_TOKEN, 1), OUTPUT: output}
    return meters, "estimated", "estimated"


class Recovered(msgspec.Struct, frozen=True):
    """What a recovery found. `lost` must be the first entries of the next segment; `live` are the holds they end."""

    lost: tuple[Reading, ...]
    live: Live
    cut: Torn | None  # the torn tail that was cut off the last segment, if any; its bytes are kept in a `.cut` file
    damaged: tuple[Torn, ...]  # other damage in the last segment
    end: Position | None  # where the journal ended; None: it was empty


def recover(
    directory: Path, gateway: str, now_ns: int, *, count: Count = count_delivered, lock: Any = None
) -> Recovered:
    """Cuts a torn tail and finds the open holds. `now_ns`: wall clock, the end of the calls it ends.

    Takes the directory's lock while it works (`lock`: the caller has it). Raises Refusal when a writer is at work.
    """
    own = None if lock is not None else DirectoryLock(directory, gateway)
    try:
        known = segments(directory)
        if not known:
            return Recovered((), Live(), None, (), None)
        findings: list[Torn] = []
        live = Live()
        first: list[AnyEntry] = []
        end, closed = read_to_end(directory, known[-1], live.apply, findings.append, first)
        cut = None
        if not closed:
            cut = _cut(directory, known[-1], end)
            findings = [torn for torn in findings if torn.offset < end]
        if not isinstance(first[0] if first else None, Carry):  # its beginning is lost: go further back
            live = live_at_end(directory, silent)
        for torn in findings:
            log_torn(torn)
        lost = tuple(ended(hold, progress, now_ns, count) for hold, progress in live.open())
        return Recovered(lost, live, cut, tuple(findings), Position(known[-1], end))
    finally:
        if own is not None:
            own.release()


def ended(hold: Hold, progress: Progress | None, now_ns: int, count: Count = count_delivered) -> Reading:
    """The reading that ends a hold whose gateway died."""
    meters, input_provenance, output_provenance = count(hold, progress)
    held = max(hold.hold_nano, progress.hold_nano) if progress is not None else hold.hold_nano
    return Reading(
        call=hold.call,
        attempt=hold.attempt,
        account=hold.account,
        key=hold.key,
        offer=hold.offer,
        cost_price=hold.cost_price,
        charge_price=hold.charge_price,
        tariff=hold.tariff,
        model=hold.model,
        endpoint=hold.endpoint,
        stream=hold.stream,
        outcome="lost",
        status=0,
        fault="",
        meters=meters,
        input_provenance=input_provenance,
        output_provenance=output_provenance,
        flags=("recovered", "usage_from_progress" if meters else "nothing_proven"),
        select={},
        reported_cost="",
        raw_usage=b"",
        delivered_output=meters.get(OUTPUT, 0),
        accepted_ns=hold.accepted_ns,
        sent_ns=hold.accepted_ns,  # the hold goes out with the request: take it as sent rather than deny it
        first_ns=progress.at_ns if progress is not None else 0,  # not known better than this
        end_ns=max(now_ns, hold.accepted_ns),
        request_bytes=hold.request_bytes,
        reply_bytes=progress.text_bytes if progress is not None else 0,
        upstream_id="",
        upstream_model="",
        currency=hold.currency,
        hold_nano=held,
        snapshot=hold.snapshot,
        leases=hold.leases,
        charge_max=held if hold.leases else -1,
        fx=hold.fx,
    )


def open_journal(
    directory: Path, gateway: str, now_ns: int, *, count: Count = count_delivered, **options: Any
) -> JournalWriter:
    """Recovers, then opens the writer with the readings that end what the crash left open already in its file.

    `options` are those of JournalWriter. The lock is held from before the recovery until the writer closes.
    """
    lock = DirectoryLock(directory, gateway)
    try:
        found = recover(directory, gateway, now_ns, count=count, lock=lock)
    except BaseException:
        lock.release()
        raise
    writer = JournalWriter(directory, gateway, live=found.live, first=found.lost, lock=lock, **options)
    writer.recovered = found
    return writer


def _cut(directory: Path, number: int, end: int) -> Torn | None:
    """Ends a segment that its writer could not close. What is cut is kept beside it: evidence is not destroyed."""
    path = directory / file_name(number)
    with open(path, "r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        tail = os.pread(file.fileno(), max(size - end, 0), end)
        lost = written_length(tail)
        if lost:
            kept = path.with_suffix(f".{end}.cut")
            kept.write_bytes(tail[:lost])
        if end >= DATA_AT:  # else it is no segment of ours: leave it as it is
            os.pwrite(file.fileno(), CLOSE, end)
            os.ftruncate(file.fileno(), end + len(CLOSE))
    return Torn(number, end, lost, "a torn tail, cut") if lost else None
