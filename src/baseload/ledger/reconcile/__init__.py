"""What vendors say they were asked for and what they bill, beside what the book says: every difference explained.

In:     a vendor's usage export or invoice (`formats.py`), the readings of its provider.
Out:    findings that add up to the whole difference (`match.py`), and postings of those a person approves (`book.py`).
"""
