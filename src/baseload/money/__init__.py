"""Amounts, price books, and what a usage costs at an instant. Pure: no I/O except loading a price file.

In:     price files (TOML, the shape of `docs/prices.md`), meters of a reading, an instant.
Out:    exact amounts in nano-units, or a refusal that names the missing price.
May import: errors, msgspec.

Read in this order: `amount.py`, `price.py` (a price row and its rules), `rate.py` (what a usage costs) and
`compiled.py` (how that is fast), `window.py` (hours, weekdays, holidays), `book.py` (files -> rows) with
`book_fields.py` and `locate.py` (line numbers).
"""
