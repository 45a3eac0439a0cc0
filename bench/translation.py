"""Measures of protocols: CPU a frame that is translated, and a frame that is forwarded in another protocol than chat.

Each translated stream stands beside the same provider's stream forwarded by the same gateway to a client of its own
protocol. Frames are counted where the client reads them; a frame of text in is a frame of text out.
"""

from __future__ import annotations

import socket

from bench import speech
from bench.figures import Row, Target, ratio_row
from bench.flow import lasting, run, window
from bench.plan import Bench, Result
from bench.rig import Rig
from bench.system import Trouble

Way = tuple[str, str]  # the client's protocol, the provider's door

TRANSLATED: tuple[Way, ...] = (("chat", "messages"), ("messages", "chat"), ("responses", "chat"), ("gemini", "chat"))
_BESIDE = "forwarded"
_CHECKED = 25  # frames


def translated(bench: Bench) -> Result:
    """A translated frame beside the same frame forwarded."""
    pairs = [(way, (way[1], way[1])) for way in TRANSLATED]
    cpu, remark = _rounds(bench, "translated", pairs)
    rows = [
        _row(
            "translated", f"CPU a frame, {client} client on {door} door", cpu[client, door], cpu[door, door], Target(3)
        )
        for client, door in TRANSLATED
    ]
    return Result(rows, [remark])


def forwarded(bench: Bench) -> Result:
    """A frame of another protocol, forwarded, beside one of chat."""
    chat = ("chat", "chat")
    cpu, remark = _rounds(bench, "forwarded", [((name, name), chat) for name in speech.OTHERS])
    rows = [
        _row("forwarded", f"CPU a frame, {name} forwarded, beside chat", cpu[name, name], cpu[chat], None)
        for name in speech.OTHERS
    ]
    return Result(rows, [remark])


def _row(measure: str, title: str, ours: list[float], base: list[float], target: Target | None) -> Row:
    return ratio_row(measure, title, "us", base, ours, target, beside=_BESIDE)


def _rounds(bench: Bench, name: str, pairs: list[tuple[Way, Way]]) -> tuple[dict[Way, list[float]], str]:
    """Microseconds of CPU a frame by way, one a round. Every way has its window in every round, to and fro."""
    plan, rig = bench.plan, bench.rig
    ways = list(dict.fromkeys(way for pair in pairs for way in reversed(pair)))
    for way in ways:
        _check(rig, way)
    interval_ms = plan.translated_interval_ms
    asked = plan.streams * 1000 / interval_ms
    cpu: dict[Way, list[float]] = {way: [] for way in ways}
    slowest = dict.fromkeys(ways, asked)
    for number in range(plan.stream_rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            client, door = way
            request = speech.request(rig.key, client, door, lasting(plan, interval_ms), interval_ms)
            frames, spent = run(window(rig, rig.ours, plan, request, speech.frame_end(client, door)))
            bench.spent(spent)
            cpu[way].append(spent.cpu_s * 1e6 / frames)
            slowest[way] = min(slowest[way], frames / spent.wall_s)
    slow = [f"{client} on {door} {rate:,.0f}" for (client, door), rate in slowest.items() if rate < 0.95 * asked]
    remark = f"{name}: {plan.streams} streams, a frame every {interval_ms} ms each, {asked:,.0f} frames/s"
    return cpu, remark + (f"; not all arrived in time: {', '.join(slow)}." if slow else ", all delivered.")


def _check(rig: Rig, way: Way) -> None:
    """One stream of every way is read whole: each word once, usage, and the protocol's own end."""
    client, door = way
    with socket.create_connection(("127.0.0.1", rig.ours.stream_port), timeout=10) as sock:
        sock.sendall(speech.request(rig.key, client, door, _CHECKED, 2))
        data = bytearray()
        while not data.endswith(b"0\r\n\r\n"):
            piece = sock.recv(1 << 16)
            if not piece:
                raise Trouble(f"{client} on {door}: the stream was cut: {bytes(data[-400:])!r}")
            data += piece
    words = data.count(speech.WORD[client])
    missing = [part for part in speech.USAGE[client] if part not in data]
    if not data.startswith(b"HTTP/1.1 200") or words != _CHECKED or missing:
        begin = bytes(data[:400])
        raise Trouble(f"{client} on {door}: {words} words instead of {_CHECKED}, without {missing}: {begin!r}")
    rig.count(rig.ours, speech.MODELS[door], 1)
