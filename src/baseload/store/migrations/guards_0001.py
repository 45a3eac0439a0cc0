"""The triggers of revision 0001: what the database itself refuses, whoever is connected. Frozen with the revision.

1. A row of the book is never changed or removed (UPDATE, DELETE, TRUNCATE).
2. A posting is a debit and a credit of one amount, both in its currency (foreign keys on account and currency), so that
   every transaction sums to zero in each currency whatever is inserted. Postings come first, then their transaction,
   which is refused without any. After that nothing can be added to it: a posting to an existing transaction is refused,
   and a posting whose transaction never comes fails at commit (deferred foreign key).
3. A change of a tariff's margin leaves a dated row in `tariff_versions`.

On PostgreSQL rule 2 must also hold between sessions that do not see each other's rows, so both triggers take the
writer's advisory lock, and a posting is accepted in READ COMMITTED only (an older picture could miss a transaction just
committed).
"""

from __future__ import annotations

from baseload.store.engine import WRITER_LOCK

APPEND_ONLY = (
    "tariff_versions", "audit", "price_rows", "ledger_accounts", "readings", "transactions", "postings",
    "resettlements", "refusals", "journal_notes",
)  # fmt: skip

_SQLITE_NOW_NS = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000000"
_PG_NOW_NS = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint * 1000"


ENTRIES = """CREATE VIEW entries AS
    SELECT transaction_id, line, debit_id AS ledger_account_id, currency, amount_nano FROM postings
    UNION ALL SELECT transaction_id, line, credit_id, currency, -amount_nano FROM postings"""


def sqlite() -> list[str]:
    """Statements for SQLite, in order."""
    made = [ENTRIES]
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            made.append(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN "
                f"SELECT RAISE(ABORT, '{table} is append-only: {verb} refused'); END"
            )
    made.append(
        """CREATE TRIGGER postings_before_insert BEFORE INSERT ON postings
        WHEN EXISTS (SELECT 1 FROM transactions WHERE id = NEW.transaction_id) BEGIN
        SELECT RAISE(ABORT, 'the transaction is closed: a posting was refused'); END"""
    )
    made.append(
        """CREATE TRIGGER transactions_before_insert BEFORE INSERT ON transactions BEGIN
        SELECT RAISE(ABORT, 'the transaction has no postings')
        WHERE NOT EXISTS (SELECT 1 FROM postings WHERE transaction_id = NEW.id); END"""
    )
    for when, condition in (("INSERT", ""), ("UPDATE OF margin_ppm", "WHEN NEW.margin_ppm <> OLD.margin_ppm")):
        made.append(
            f"""CREATE TRIGGER tariffs_after_{when.split()[0].lower()} AFTER {when} ON tariffs {condition} BEGIN
            INSERT INTO tariff_versions (tariff_id, from_ns, margin_ppm)
            VALUES (NEW.id, {_SQLITE_NOW_NS}, NEW.margin_ppm); END"""  # noqa: S608 - constants only
        )
    return made


def postgresql() -> list[str]:
    """Statements for PostgreSQL, in order."""
    made = [
        ENTRIES,
        """CREATE FUNCTION baseload_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
        END $$""",
    ]
    for table in APPEND_ONLY:
        made.append(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION baseload_append_only()"
        )
    made += [
        f"""CREATE FUNCTION baseload_posting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'postings are accepted in READ COMMITTED only' USING ERRCODE = 'check_violation';
        END IF;
        PERFORM pg_advisory_xact_lock({WRITER_LOCK});
        IF EXISTS (SELECT 1 FROM transactions WHERE id = NEW.transaction_id) THEN
            RAISE EXCEPTION 'the transaction is closed: a posting was refused' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW; END $$""",  # noqa: S608 - constants only
        """CREATE TRIGGER postings_before_insert BEFORE INSERT ON postings
        FOR EACH ROW EXECUTE FUNCTION baseload_posting()""",
        f"""CREATE FUNCTION baseload_transaction() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_xact_lock({WRITER_LOCK});
        IF NOT EXISTS (SELECT 1 FROM postings WHERE transaction_id = NEW.id) THEN
            RAISE EXCEPTION 'the transaction has no postings' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW; END $$""",  # noqa: S608 - constants only
        """CREATE TRIGGER transactions_before_insert BEFORE INSERT ON transactions
        FOR EACH ROW EXECUTE FUNCTION baseload_transaction()""",
        f"""CREATE FUNCTION baseload_tariff() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'INSERT' OR NEW.margin_ppm <> OLD.margin_ppm THEN
            INSERT INTO tariff_versions (tariff_id, from_ns, margin_ppm)
            VALUES (NEW.id, {_PG_NOW_NS}, NEW.margin_ppm);
        END IF;
        RETURN NEW; END $$""",  # noqa: S608 - constants only
        """CREATE TRIGGER tariffs_after_write AFTER INSERT OR UPDATE ON tariffs
        FOR EACH ROW EXECUTE FUNCTION baseload_tariff()""",
    ]
    return made
