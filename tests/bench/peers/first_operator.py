"""Print a token of the first operator of the instance in FAIRLABEL_HOME, with the shipped pay rules in force."""

import sys
from datetime import UTC, datetime, timedelta

from annotate.stack.home import instance_environment
from annotate.stack.throw_away import bootstrap

if __name__ == "__main__":
    sys.stdout.write(
        bootstrap(instance_environment()["DATABASE_URL"], datetime.now(UTC) - timedelta(hours=1))
    )
