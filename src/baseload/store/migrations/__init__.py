"""Alembic's folder. Run by `baseload.store.upgrade`, never by hand; lives in the package so that it works installed."""
