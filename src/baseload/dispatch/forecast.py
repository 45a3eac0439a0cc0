"""How long a call will be: tokens of its input from its bytes, of its output from what came before. Pure.

In:     what ended calls reported. Out: expected tokens of the next one.

Input: each offer's own bytes a token, a moving average (tokenizers differ by a factor of two, languages by three).
Output: a histogram of lengths by model, and by key and model; its steps grow by a quarter. A key with few calls leans
on its model's: its own counts once it has seen SAMPLES_OWN. Counts are halved when old, so habits can change.
Bounded: KEYS_MAX histograms, the least recently used goes first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")

OUTPUT_UNKNOWN = 256  # tokens expected of a model that nobody has asked yet
SAMPLES_OWN = 8
KEYS_MAX = 20_000
QUANTILE = 600  # per mille: near the mean of lengths whose long tail is one-sided
_STEPS = 64  # 1 to 1,275,000 tokens
_HALVE_AT = 256
_EVERY = 16
_KNOWN = 128
_EDGES = sorted({round(1.25**step) for step in range(_STEPS)})
MILLI_MIN, MILLI_MAX = 200, 64_000  # thousandths of a byte a token


def moved_milli(milli: int, request_bytes: int, prompt_tokens: int) -> int:
    """Bytes a token after one more call, in thousandths.

    One call moves it by a sixteenth of the difference. What is four times off is no text: an image, a file.
    """
    if prompt_tokens < 16 or request_bytes <= 0:  # the frame around a short prompt says nothing of its text
        return milli
    seen = min(max(request_bytes * 1000 // prompt_tokens, MILLI_MIN), MILLI_MAX)
    if not milli // 4 <= seen <= milli * 4:
        return milli
    return milli + (seen - milli) // 16


class Lengths:
    """A decayed histogram of output lengths."""

    __slots__ = ("_counts", "_found", "total")

    def __init__(self) -> None:
        self._counts = [0] * len(_EDGES)
        self.total = 0
        self._found: dict[int, int] = {}

    def add(self, tokens: int) -> None:
        self._counts[min(bisect_left(_EDGES, tokens), len(_EDGES) - 1)] += 1
        self.total += 1
        if self.total < _EVERY * 2 or not self.total % _EVERY:  # a quantile of many moves slowly
            self._found.clear()
        if self.total >= _HALVE_AT:
            self._counts = [count >> 1 for count in self._counts]
            self.total = sum(self._counts)

    def quantile(self, per_mille: int) -> int:
        """Tokens that so many of a thousand calls stay within, to a quarter; 0 = nothing was seen."""
        found = self._found.get(per_mille)
        if found is None:
            found = self._found[per_mille] = self._quantile(per_mille)
        return found

    def _quantile(self, per_mille: int) -> int:
        if not self.total:
            return 0
        wanted, seen = self.total * per_mille, 0
        for step, count in enumerate(self._counts):
            seen += count * 1000
            if count and seen >= wanted:
                return _EDGES[step]
        return _EDGES[-1]


class Forecast:
    """Output lengths by key and model. Outlives snapshots."""

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._models: OrderedDict[str, Lengths] = OrderedDict()
        self._keys: OrderedDict[tuple[int, str], Lengths] = OrderedDict()
        self._keys_max = keys_max
        self._calls = 0

    def learn(self, key: int, model: str, output_tokens: int) -> None:
        """A call of this key ended with so many tokens of output, as its provider reported."""
        own = self._keys.get((key, model))
        if own is not None and own.total >= _KNOWN and self._calls % _EVERY:  # a sample is enough of what is well known
            self._calls += 1
            return
        self._calls += 1
        _of(self._models, model, self._keys_max).add(output_tokens)
        _of(self._keys, (key, model), self._keys_max).add(output_tokens)

    def output_tokens(self, key: int, model: str, limit: int = 0, per_mille: int = QUANTILE) -> int:
        """Expected output; `limit`: the most the request allows, 0 = no limit."""
        own = self._keys.get((key, model))
        if own is not None and own.total >= SAMPLES_OWN:
            found = own.quantile(per_mille)
        else:
            general = self._models.get(model)
            found = general.quantile(per_mille) if general is not None else OUTPUT_UNKNOWN
        return min(found, limit) if limit else found


def _of(kept: OrderedDict[K, Lengths], key: K, most: int) -> Lengths:
    found = kept.get(key)
    if found is None:
        if len(kept) >= most:
            kept.popitem(last=False)
        found = kept[key] = Lengths()
    else:
        kept.move_to_end(key)
    return found
