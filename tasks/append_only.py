"""Tables that only grow: the database itself refuses to change, delete or empty their rows.

The statements stand here as text, so that a test database (by `attach`) and a migration (by executing them)
build the very same triggers. A superuser can still switch triggers off: the transparency log exists for that.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import DDL, FromClause, event

REFUSE: Final = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = TG_TABLE_NAME || ' only grows: ' || lower(TG_OP) || ' refused';
END $$"""


def only_grows(table: str) -> tuple[str, ...]:
    """Give the statements that make a table refuse UPDATE, DELETE and TRUNCATE; they may run twice."""
    return (
        REFUSE,
        f"""
CREATE OR REPLACE TRIGGER {table}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    )


def attach(table: FromClause, statements: Iterable[str]) -> None:
    """Run the statements whenever the metadata creates this table."""
    for statement in statements:
        event.listen(table, "after_create", DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
