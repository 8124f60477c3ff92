"""A name is read beside other words: nothing in it is hidden, and nothing in it turns those words around."""

from schemas.problems import HIDDEN
from tasks.errors import Invalid


class HiddenCharacter(Invalid):
    """A name holds a character that cannot be seen, or that turns the words around; write it anew."""


def check_name(name: str, field: str = "name") -> None:
    """Refuse a name that shows something else than it holds. Raises HiddenCharacter."""
    if HIDDEN.search(name):
        raise HiddenCharacter(field=field)
