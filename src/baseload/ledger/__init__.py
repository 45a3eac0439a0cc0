"""The double-entry book: settlement of the journal, bills, checks, exports.

In:     journal segments, price rows. Out: postings that sum to zero, bills, findings.
May import: errors, money, wire (what a usage counts), gateway.journal (the format only), store. No HTTP.

Read in this order: `rating.py` (what a reading costs and charges: pure), `prices.py` (price rows and margins in the
database), `book.py` (how a transaction is written), `rows.py` (journal entries as rows), `settle.py` (the journal into
the book, exactly once), `amend.py` (late prices, adjustments); then what is read from it: `bills.py`, `usage.py`,
`calls.py`, `check.py`, `export.py`, `backup.py`. Invoices: `documents.py` (what is in one: pure), `invoice_lines.py`
(what is to be invoiced), `invoices.py`, `credit_notes.py`, `invoice_files.py`, `invoice_check.py`. The archive:
`archive_files.py`, `archive.py`, `archive_check.py`; `parquet.py` loads DuckDB for both.
"""
