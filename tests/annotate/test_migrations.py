"""The shipped migrations give exactly the tables, guards and functions that the code declares."""

from alembic import command
from conftest import make_database
from sqlalchemy import Connection, create_engine, text

from annotate.migrate import configuration, is_current, upgrade
from tasks.db import Base, driver_url

GUARDS = text("""
    SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT pg_get_functiondef(pg_proc.oid) FROM pg_proc
    JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname = 'public'
""")


def guards(connection: Connection) -> list[str]:
    return sorted(" ".join(definition.split()) for definition in connection.scalars(GUARDS))


def test_migrations_and_code_agree(server_url: str) -> None:
    migrated = make_database(server_url, "fairlabel_migrated")
    declared = make_database(server_url, "fairlabel_declared")
    assert not is_current(migrated)
    upgrade(migrated)
    assert is_current(migrated)
    command.check(configuration(migrated))
    one, other = create_engine(driver_url(migrated)), create_engine(driver_url(declared))
    Base.metadata.create_all(other)
    with one.connect() as first, other.connect() as second:
        assert guards(first) == guards(second)
        assert len(guards(first)) > 10
    one.dispose()
    other.dispose()
