"""Settings of the web side. It refuses to start on a secret that others could know."""

from typing import ClassVar
from urllib.parse import urlsplit

from tasks.settings import Settings, UnsafeSetting, guessable


class WebSettings(Settings, frozen=True, kw_only=True):
    """How people reach this instance."""

    prefix: ClassVar[str] = "FAIRLABEL_"

    secret_key: str
    """At least 32 random characters, as `openssl rand -hex 32` makes them; hides who tried to sign in."""
    base_url: str = "http://127.0.0.1:8000"
    """The address under which people reach this instance; https turns on secure cookies."""
    session_days: int = 30
    """Days after which an unused sign-in ends."""

    def __post_init__(self) -> None:
        """Refuse a secret that others could know, and an address that is none."""
        if guessable(self.secret_key):
            raise UnsafeSetting(
                "FAIRLABEL_SECRET_KEY is missing, short or well known; make one with `openssl rand -hex 32`."
            )
        if urlsplit(self.base_url).scheme not in {"http", "https"}:
            raise UnsafeSetting("FAIRLABEL_BASE_URL has to begin with http:// or https://.")

    @property
    def secure(self) -> bool:
        """Whether cookies travel over https only."""
        return self.base_url.startswith("https://")
