"""`python -m baseload.control.assistant.pdf_text MAX < a.pdf`: the text of a PDF, at most MAX characters, by pypdf.

A process of its own: a file made to hang or to fill memory ends here, by the limits it sets itself.
"""

from __future__ import annotations

import contextlib
import io
import sys

CPU_S = 15
MEMORY = 2**30  # bytes of address space


def main() -> int:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on Windows: there the caller's timeout alone
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from pypdf import PdfReader

    left = int(sys.argv[1])
    reader = PdfReader(io.BytesIO(sys.stdin.buffer.read()))
    for page in reader.pages:
        text = page.extract_text()[:left]
        sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
        left -= len(text) + 1
        if left <= 0:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
