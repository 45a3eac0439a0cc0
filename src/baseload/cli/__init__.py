"""The `baseload` command: a client of the control plane (a socket in the home, or a URL and a token).

It never opens the database. `baseload up` supervises the processes of a home.
"""
