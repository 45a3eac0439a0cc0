"""Everything a request may ask for beside its turns, generated."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import Raw

from baseload.wire.canon.request import Choice, Format, Thought, Tool
from baseload.wire.raw import ABSENT

_TEXTS = st.text(max_size=8)
_TOOLS = st.builds(
    Tool,
    name=st.sampled_from(["f", "g"]),
    description=_TEXTS,
    schema=st.sampled_from([ABSENT, Raw(b'{"type":"object"}')]),
    strict=st.sampled_from([None, True, False]),
    cache=st.sampled_from(["", "5m"]),
)
WISHES = st.fixed_dictionaries(
    {},
    optional={
        "tools": st.lists(_TOOLS, max_size=3),
        "choice": st.builds(
            Choice,
            st.sampled_from(["auto", "none", "required", "tool"]),
            st.sampled_from([(), ("f",), ("f", "g"), ("h",)]),
        ),
        "format": st.builds(
            Format,
            kind=st.sampled_from(["text", "json", "schema"]),
            schema=st.sampled_from([ABSENT, Raw(b'{"type":"object"}')]),
            name=_TEXTS,
            description=_TEXTS,
        ),
        "thought": st.builds(
            Thought,
            mode=st.sampled_from(["", "on", "off", "adaptive"]),
            effort=st.sampled_from(["", "minimal", "high", "max"]),
            budget=st.sampled_from([None, -1, 0, 5, 5000]),
            summary=st.sampled_from(["", "auto"]),
        ),
        "max_output": st.integers(1, 9000),
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(0, 50),
        "stop": st.lists(_TEXTS, max_size=3).map(tuple),
        "parallel": st.booleans(),
        "stream": st.booleans(),
        "n": st.integers(1, 5),
    },
)
