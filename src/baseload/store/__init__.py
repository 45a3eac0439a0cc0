"""The database: tables (SQLAlchemy Core), migrations (Alembic), SQLite and PostgreSQL. No business rules.

In:     a database URL. Out: an engine with the schema at its newest revision; tables.
May import: errors.

    engine = store.open("sqlite:////home/me/baseload.db")   # or postgresql://user@host/name
    store.upgrade(engine)
    with store.writing(engine) as connection: ...            # one writer at a time, on both databases
    with store.reading(engine) as connection: ...            # one consistent picture, never blocks a writer

Read in this order: `tables/` (what is kept, and the limits), `engine.py` (how it is opened, written and read),
`migrations/` (how it came about; the triggers that refuse to change a book are in `guards_0001.py`).
"""

from baseload.store import tables
from baseload.store.engine import DatabaseAway, dispose, open, reading, revision, upgrade, writing

__all__ = ["DatabaseAway", "dispose", "open", "reading", "revision", "tables", "upgrade", "writing"]
