"""Runs migrations in one transaction, one program at a time; two starts at once do not race."""

from alembic import context
from sqlalchemy import create_engine, text

import annotate.tables  # noqa: F401  loads every table
from tasks.db import Base, driver_url

MIGRATION_LOCK = 0x66616972

engine = create_engine(driver_url(context.config.attributes["database_url"]))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        context.run_migrations()
engine.dispose()
