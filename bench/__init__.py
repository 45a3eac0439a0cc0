"""What Baseload costs, measured against nginx in the same run. `make bench`, or `python -m bench --quick`.

In:     nginx and wrk from the system, the gateway of this tree. Linux only: /proc, sched_setaffinity, timerfd.
Out:    tables: each figure beside nginx's, or a forwarded stream's, and its target. Everything started here ends here.
May import: baseload.gateway.snapshot, baseload.gateway.vault, baseload.money.price (to make a home), nothing else: what
is measured runs in its own process, as `baseload up` starts it.

Read in this order: `system.py` (processes, cores, counters), `traffic.py` and `speech.py` (the bytes), `home.py` and
`nginx.py` (the two proxies), `mock.py` (the provider that streams), `wrk.py`, `latency.py`, `streams.py` (the clients),
`rig.py` (all of it together), `figures.py` and `plan.py`, `load.py`, `flow.py`, `translation.py`, `delay.py` (the
measures), `measure.py` (their list), `report.py`, `__main__.py`. `settlement.py`, `usage.py` (a year's
roll-up) and `book.py` (many readings) stand alone.
"""
