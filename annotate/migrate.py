"""The database's shape: Alembic's steps, shipped in the package.

`fairlabel migrate` and `fairlabel up` run them. An upgrade is one transaction: it is done as a whole or not
at all.
"""

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from tasks.db import driver_url


def configuration(database_url: str) -> Config:
    """Give Alembic's configuration, for our own calls and for making new steps."""
    config = Config()
    config.set_main_option("script_location", "annotate:migrations")
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str) -> None:
    """Bring a database to the newest shape."""
    command.upgrade(configuration(database_url), "head")


def is_current(database_url: str) -> bool:
    """Tell whether a database has the newest shape."""
    heads = set(ScriptDirectory.from_config(configuration(database_url)).get_heads())
    engine = create_engine(driver_url(database_url))
    try:
        with engine.connect() as connection:
            return set(MigrationContext.configure(connection).get_current_heads()) == heads
    finally:
        engine.dispose()
