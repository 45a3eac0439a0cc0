"""What every table is made of: the one `MetaData`, and columns by their kind."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Integer, MetaData, Text, func, text
from sqlalchemy.types import JSON

NANO_MAX = 2**62  # of one posting
GIGA = 10**9
_DIVISION = 8  # SQLAlchemy's rank of it

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
BigId = BigInteger().with_variant(Integer(), "sqlite")  # INTEGER PRIMARY KEY is SQLite's rowid


def id_column(*, own: bool = False) -> Column[int]:
    """`own`: ids given by the ledger, dense and in order, so that a missing row shows."""
    return Column("id", BigId, primary_key=True, autoincrement=not own)


def flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"))


def ns(name: str, default: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text(default) if default is not None else None)


def big(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def words(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def json_column(name: str, default: str) -> Column[Any]:
    return Column(name, JSON, nullable=False, server_default=text(f"'{default}'"))


def sum_nano(column: ColumnElement[int] | Column[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Two aggregates, thousand-millions and rest: `total = high * GIGA + low` is exact and neither half overflows.

    Integer division and remainder truncate towards zero with the sign of the dividend on both databases.
    """
    giga = text(str(GIGA))
    # they bind as a division does: a difference of columns gets its brackets
    high = func.coalesce(func.sum(column.op("/", precedence=_DIVISION)(giga)), 0)
    low = func.coalesce(func.sum(column.op("%", precedence=_DIVISION)(giga)), 0)
    return high, low
