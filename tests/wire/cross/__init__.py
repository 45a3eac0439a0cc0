"""Every protocol against every other one: what was meant stays, over one hop and over two, whole and streamed.

`talk.py` and `says.py` generate requests and replies; `sources.py` writes replies as providers of each protocol do;
`readers.py` reads what clients get, with our readers and with the official libraries. What is compared is stated in the
`meaning` functions, and nowhere else is anything forgiven.
"""
