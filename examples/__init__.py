"""Worked examples; each writes a page of the docs, and a test holds the page and the example together."""
