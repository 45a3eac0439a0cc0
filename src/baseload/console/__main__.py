"""`python -m baseload.console`: the control plane with its pages, as one process. Options as `baseload.control`'s."""

from __future__ import annotations

import sys

from baseload.console.app import pages
from baseload.control.__main__ import main

if __name__ == "__main__":
    sys.exit(main(pages=pages))
