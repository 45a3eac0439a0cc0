"""What a model writes becomes markup of ours and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.console.markdown import rendered

OURS = re.compile(
    r"</?(?:p|h[1-6]|ul|ol|li|em|strong|s|blockquote|hr|br|pre|code|a|table|thead|tbody|tr|t[hd]|div|span)"
    r"(?: (?:href|target|rel|class|title|start|tabindex|role)=\"[^\"<>]*\")*(?: /)?>"
)


def test_what_people_expect() -> None:
    html = rendered(
        "# Load\n\n- **one**\n- `two`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nfor x in y: pass\n```\n"
    )
    for part in (
        "<h1>Load</h1>",
        "<strong>one</strong>",
        "<code>two</code>",
        "<td>2</td>",
        '<span class="k">for</span>',
    ):
        assert part in html


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "[a](data:text/html,x)",
     "![x](javascript:alert(1))", "[a](https://x.test \"' onclick=alert(1)\")", "```\"><script>\n</code></pre><b>\n```",
     "<https://x.test/<script>>", "[a]: javascript:alert(1)\n\n[a]", "| <b> |\n|-:|\n| <i> |"],
)  # fmt: skip
def test_nothing_of_it_becomes_markup(text: str) -> None:
    html = str(rendered(text))
    assert OURS.sub("", html).count("<") == 0, html
    assert "javascript:" not in "".join(re.findall(r'href="[^"]*"', html))


def test_a_picture_is_a_link_for_a_page_fetches_nothing() -> None:
    html = rendered("![a map](https://x.test/map.png)")
    assert "<img" not in html
    assert 'href="https://x.test/map.png"' in html
    assert 'rel="noopener' in html


@given(st.text(alphabet=st.sampled_from("ab <>\"'`*_[]()!#|-\n&;:/=\\x"), max_size=120))
def test_no_text_brings_in_markup_of_its_own(text: str) -> None:
    assert OURS.sub("", str(rendered(text))).count("<") == 0
