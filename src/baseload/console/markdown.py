"""Markdown of models as HTML, by markdown-it-py; code coloured by Pygments with classes.

In:     a text that anybody may have written. Out: markup of ours alone: HTML in the text stays text, pictures become
        links (a page fetches nothing from elsewhere), addresses are http, https or mailto.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

SCHEMES = ("http", "https", "mailto")


def rendered(text: str) -> Markup:
    html = _parser().render(text).replace("<pre>", '<pre tabindex="0">')  # long lines are reached by keys too
    return Markup(html)  # noqa: S704 - html is off: what is not ours is escaped


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "highlight": _coloured}).enable(["table", "strikethrough"])
    parser.validateLink = _is_good  # type: ignore[method-assign]
    parser.add_render_rule("link_open", _link)
    parser.add_render_rule("image", _picture)
    for cell in ("th_open", "td_open"):
        parser.add_render_rule(cell, _cell)
    parser.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0" role="region"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def _is_good(url: str) -> bool:
    try:
        return urlsplit(url).scheme in SCHEMES
    except ValueError:
        return False


def _link(self: RendererHTML, tokens: Sequence[Token], number: int, options: OptionsDict, env: EnvType) -> str:
    tokens[number].attrSet("target", "_blank")
    tokens[number].attrSet("rel", "noopener noreferrer nofollow")
    return self.renderToken(tokens, number, options, env)


def _cell(self: RendererHTML, tokens: Sequence[Token], number: int, options: OptionsDict, env: EnvType) -> str:
    """Aligned by a class: pages allow no style attribute."""
    style = str(tokens[number].attrs.pop("style", ""))
    if style.endswith(("right", "center")):
        tokens[number].attrSet("class", "num" if style.endswith("right") else "mid")
    return self.renderToken(tokens, number, options, env)


def _picture(self: RendererHTML, tokens: Sequence[Token], number: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[number]
    words = escape(token.content or "picture")
    href = escape(str(token.attrGet("src") or ""))
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer nofollow">{}</a>').format(href, words)


def _coloured(code: str, language: str, _: Any) -> str:
    """Inside of <code>; "" = the parser escapes it itself."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return ""
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))
