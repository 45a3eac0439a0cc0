"""The planner: what the load looks like, and what to own and what to rent for it. Pure: figures in, figures out.

In:     load by the hour (from the ledger, or a trace), supplies with a fixed and a running cost.
Out:    load curve and load-duration curve with what they say; the mix that costs the least, closed form.
May import: errors.

Read in this order: `load.py` (hours, the duration curve), `traces.py` (files of others), `screening.py` (own or rent).
"""
