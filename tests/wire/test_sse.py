"""The frame cutter against a reader that goes byte by byte, and against its own promises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire.sse import FrameCutter, data_of


def slow_cut(whole: bytes) -> tuple[list[bytes], bytes]:
    """The rule, one byte at a time: a blank line ends a frame, CR LF is one line end; a CR at the end of all waits for
    an LF, unless it ends a blank line after a line that ended in a bare CR."""
    frames, frame, line_empty, bare_before, i = [], bytearray(), True, False, 0
    while i < len(whole):
        byte = whole[i : i + 1]
        frame += byte
        i += 1
        if byte not in (b"\n", b"\r"):
            line_empty = False
            continue
        bare = False
        if byte == b"\r":
            at_once = line_empty and bare_before and i == len(whole)
            if whole[i : i + 1] == b"\n":
                frame += b"\n"
                i += 1
            elif i == len(whole) and not at_once:
                break  # an LF may follow
            else:
                bare = True
        if line_empty:
            frames.append(bytes(frame))
            frame, bare = bytearray(), False
        line_empty, bare_before = True, bare
    return frames, bytes(frame)


def cut(pieces: list[bytes], cap: int = 1 << 20) -> tuple[list[bytes], bytes]:
    cutter = FrameCutter(cap)
    frames = [frame for piece in pieces for frame in cutter.feed(piece)]
    return frames, cutter.close()


def all_data(frames: list[bytes], rest: bytes) -> list[bytes]:
    return [data for data in map(data_of, (*frames, rest)) if data is not None]


TOKENS = st.sampled_from(
    [b"data: a", b"data:b", b": c", b"x", b"\n", b"\n\n", b"\r\n", b"\r\n\r\n", b"\r", b"\r\r", b"\xef\xbb\xbf"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(TOKENS, max_size=20))
def test_cuts_as_the_slow_reader_does(tokens: list[bytes]):
    whole = b"".join(tokens)
    frames, rest = cut([whole])
    assert b"".join(frames) + rest == whole
    assert (frames, rest) == slow_cut(whole)


@settings(max_examples=300, deadline=None)
@given(st.lists(TOKENS, max_size=20), st.lists(st.integers(0, 60), max_size=8))
def test_where_pieces_end_changes_no_byte_and_no_data(tokens: list[bytes], cuts: list[int]):
    whole = b"".join(tokens)
    edges = sorted(min(c, len(whole)) for c in cuts)
    frames, rest = cut([whole[a:b] for a, b in zip([0, *edges], [*edges, len(whole)], strict=True)])
    assert b"".join(frames) + rest == whole
    one_frames, one_rest = cut([whole])
    assert all_data(frames, rest) == all_data(one_frames, one_rest)
    if b"\r\r\n" not in whole:  # there a bare CR has ended the frame at once, and its LF is a blank line of its own
        assert (frames, rest) == (one_frames, one_rest)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_frames_of_each_line_end(end: bytes):
    one = b": c" + end + b"data: a" + end + b"data: b" + end + end
    two = b"data: {}" + end + end
    pieces = [one + two + two[:4], two[4:], one[:1], one[1:]]
    assert cut(pieces) == ([one, two, two, one], b"")
    whole = b"".join(pieces)
    assert cut([whole[i : i + 1] for i in range(len(whole))]) == ([one, two, two, one], b"")


def test_a_frame_goes_out_with_its_last_byte():
    for frame in (b"data: a\n\n", b"data: a\r\n\r\n", b"data: a\r\r"):
        cutter = FrameCutter()
        assert [cutter.feed(frame[i : i + 1]) for i in range(len(frame))] == [[]] * (len(frame) - 1) + [[frame]]


def test_blank_lines_alone_go_out_at_once():
    """DeepSeek holds a loaded connection open with them."""
    cutter = FrameCutter()
    assert cutter.feed(b"\n") == [b"\n"]
    assert cutter.feed(b"\n\n") == [b"\n", b"\n"]
    assert cutter.feed(b"data: a\n\n\n") == [b"data: a\n\n", b"\n"]
    assert cutter.feed(b"\r\n") == [b"\r\n"]
    assert cutter.close() == b""


@pytest.mark.parametrize(
    ("frame", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a\n\n", b" a"),
        (b"data: a\r\n\r\n", b"a"),
        (b"data: a\r\r", b"a"),
        (b"data: a", b"a"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"data: a\ndata\ndata: b\n\n", b"a\n\nb"),
        (b"data\n\n", b""),
        (b"data:\n\n", b""),
        (b"event: x\ndata: a\nid: 1\n\n", b"a"),
        (b"\xef\xbb\xbfdata: a\n\n", b"a"),
        (b": comment\n\n", None),
        (b"event: ping\n\n", None),
        (b"datax: a\n\n", None),
        (b" data: a\n\n", None),
        (b"\n", None),
        (b"", None),
        (b"data: a\x0bb\x1cc\xc2\x85d\n\n", b"a\x0bb\x1cc\xc2\x85d"),  # only CR and LF end lines
    ],
)
def test_data_of(frame: bytes, data: bytes | None):
    assert data_of(frame) == data


def test_lesson_53_a_large_frame_in_small_pieces_is_searched_once():
    """20 MB in pieces of 64 bytes: were the unfinished frame searched again for each, this would take hours."""
    piece = b"x" * 64
    cutter = FrameCutter()
    cutter.feed(b"data: ")
    feed = cutter.feed
    for _ in range(20 * 2**20 // 64):
        feed(piece)
    (frame,) = feed(b"\r\n\r\n")
    assert len(frame) == 20 * 2**20 + 10
    assert data_of(frame) == b"x" * (20 * 2**20)


def test_many_lines_in_one_frame_are_searched_once():
    lines = b"data: x\n" * 100_000
    frames, rest = cut([lines[i : i + 1000] for i in range(0, len(lines), 1000)] + [b"\n"])
    assert (len(frames), rest) == (1, b"")
    data = data_of(frames[0])
    assert data is not None
    assert data.count(b"x") == 100_000


@pytest.mark.parametrize(
    "pieces", [[b"data: " + b"x" * 95 + b"\n\n"], [b"data: " + b"x" * 95], [b"x" * 50] * 3, [b"x\r" * 51]]
)
def test_the_cap_holds_for_whole_and_unfinished_frames(pieces: list[bytes]):
    with pytest.raises(ProviderFault) as caught:
        cut(pieces, cap=100)
    assert (caught.value.fault, caught.value.sent) == ("garbage", True)
    assert "100 bytes" in str(caught.value)


def test_frames_up_to_the_cap_pass_however_many_come_at_once():
    frame = b"data: " + b"x" * 92 + b"\n\n"
    assert len(frame) == 100
    assert cut([frame * 5], cap=100) == ([frame] * 5, b"")
    assert cut([frame * 5 + frame[:60]], cap=100) == ([frame] * 5, frame[:60])
    with pytest.raises(ProviderFault):
        cut([b"data: a\n\n" + b"data: " + b"x" * 93 + b"\n\n"], cap=100)
