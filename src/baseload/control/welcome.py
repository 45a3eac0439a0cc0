"""The plain page at `/` of the control plane: what this is and where to go. No data, no script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

_STYLE = """
:root{color-scheme:light dark;--ink:#14213d;--soft:#5b6478;--line:#d9dee8;--back:#f7f8fb;--card:#fff;--glow:#f5a623}
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf4;--soft:#9aa4b8;--line:#2a3347;--back:#0e1420;--card:#151d2c}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.6 system-ui,sans-serif}
main{max-width:44rem;margin:0 auto;padding:12vh 1.5rem 4rem}
h1{font-size:2.1rem;line-height:1.2;margin:1.2rem 0 .3rem;letter-spacing:-.02em}
p{margin:.4rem 0 1.4rem;color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.1rem 1.4rem;margin:1rem 0}
h2{font-size:.82rem;text-transform:uppercase;letter-spacing:.08em;margin:.2rem 0 .6rem;color:var(--soft)}
code{font:.92rem/1.6 ui-monospace,monospace;color:var(--ink)}
pre{margin:0;overflow-x:auto}
.wave{stroke:var(--glow)}
"""
# A hash and not 'unsafe-inline': only this very style may run, and no script at all.
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CSP = f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"


@cache
def page() -> str:
    """The page; the same for everybody, for it says nothing about this home."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Baseload</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<svg width="120" height="36" viewBox="0 0 120 36" fill="none" role="img" aria-label="a load curve">
<path class="wave" d="M2 30 C18 30 20 12 34 12 S52 22 62 20 78 4 92 6 108 26 118 26" stroke-width="3"/>
</svg>
<h1>Baseload</h1>
<p>The open token grid: one socket to every model, metered, billed and dispatched by price.</p>
<section>
<h2>For a client</h2>
<p>This is the control plane. Calls go to the gateway, on port 8400 unless it was started on another one.
In any OpenAI client:</p>
<pre><code>base_url = "http://127.0.0.1:8400/v1"
api_key  = "sk-bl-..."</code></pre>
<p>Anthropic's and Google's clients take the same key and the address without /v1. Each reaches every model.</p>
</section>
<section>
<h2>For the operator</h2>
<p>This process runs without its console, and nothing about this installation is shown here.
The command does everything; on the machine itself it needs no token:</p>
<pre><code>baseload status
baseload keys create
baseload doctor</code></pre>
</section>
</main>
</body>
</html>
"""
