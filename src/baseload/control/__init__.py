"""The control plane: owns the database; admin API, configuration, settlement worker, snapshot publisher.

In:     `baseload.toml`, requests of the CLI and console, the journal. Out: the database, the snapshot file.
May import: everything below it (errors, money, providers, gateway.snapshot, gateway.vault, gateway.kept, engines, store, ledger, planner).
"""
