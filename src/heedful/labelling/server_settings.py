"""How the labelling server is reached, and the limits that it keeps; no settings of a project.

Everything has a default: `heedful label serve` starts with nothing to configure. What a
project may set is in its row of the store.
"""

from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from heedful.core.settings_section import Settings

MIB = 1 << 20


class ServerSettings(Settings):
    """Where the server listens, as whom browsers know it, and how much it takes.

    Attributes:
        public_url: As browsers reach the server, where that is not `http://host:port`:
            behind a reverse proxy. With https, cookies are sent over https alone.
        trusted_proxies: Addresses whose `X-Forwarded-*` headers are believed.
        session_age: A browser is signed out this long after it signed in.
        session_idle: ... or this long after its last request.
        max_body_bytes: Longest request but for uploads; drafts and answers are shorter.
        max_upload_bytes: Longest file that a researcher may upload.
    """

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    session_age: timedelta = timedelta(days=14)
    session_idle: timedelta = timedelta(days=3)
    max_body_bytes: int = Field(2 * MIB, gt=0)
    max_upload_bytes: int = Field(200 * MIB, gt=0)

    @field_validator("public_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        found = urlsplit(value)
        if found.scheme not in ("http", "https") or not found.hostname:
            raise ValueError("expected an address such as https://label.example.org")
        if found.path.strip("/") or found.query or found.fragment or found.username:
            raise ValueError("expected scheme and host alone, such as https://label.example.org")
        return f"{found.scheme}://{found.netloc}"

    @property
    def origin(self) -> str:
        """Scheme, host and port as a browser's `Origin` header names them."""
        if self.public_url is not None:
            return self.public_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the server over https: then cookies are `Secure`."""
        return self.origin.startswith("https://")

    def url(self, path: str) -> str:
        """The full address of a path of the application, for links that leave it."""
        return f"{self.origin}{path}"
