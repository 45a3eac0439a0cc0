"""Raw JSON values: what is absent, what is null, what decoding strangers' bytes can raise. Shared by every protocol."""

from __future__ import annotations

import msgspec
from msgspec import Raw

ABSENT = Raw(b"")
"""Default of a raw member: told from a null by identity."""

NULL = Raw(b"null")

FAILED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes of a stranger can raise."""
