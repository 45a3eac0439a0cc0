"""The database: tables (SQLAlchemy Core), migrations (Alembic), SQLite and PostgreSQL. No business rules.

In:     a database URL. Out: an engine with the schema at its newest revision; tables.
May import: errors.
"""
