"""The double-entry book: settlement of the journal, bills, checks, exports.

In:     journal segments, price rows. Out: postings that sum to zero, bills, findings.
May import: errors, money, gateway.journal (the format only), store. No HTTP.
"""
