"""The control plane: owns the database; admin API, configuration, settlement worker, snapshot publisher.

In:     `baseload.toml`, requests of the CLI and console, the journal. Out: the database, the snapshot file.
May import: everything below it (errors, money, providers, planner, engines, store, ledger; of the gateway its snapshot,
vault, journal and the form of kept content).
"""
