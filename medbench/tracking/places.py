"""Where tracked values go, and what may be written down of it."""

import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

from medbench.core.errors import UserError

SCHEMES = ("sqlite", "postgresql", "mysql", "mssql", "http", "https", "databricks")
LOCAL = "local"  # how a run writes down the database of its own output folder, which may be moved


def default_uri(out: Path) -> str:
    """The local MLflow database of an output folder."""
    return f"sqlite:///{(out / 'tracking' / 'mlflow.db').resolve()}"


def artifact_root(uri: str) -> str | None:
    """The folder beside an SQLite database; a server chooses its own."""
    path = sqlite_path(uri)
    return str(path.parent / "artifacts") if path else None


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite address; nothing for any other address."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def check_uri(uri: str) -> None:
    """Stop with a sentence when an address is none that MLflow can be reached at."""
    scheme = uri.split(":", 1)[0].split("+", 1)[0]
    if ":" not in uri or scheme not in SCHEMES:
        raise UserError(
            f"tracking.uri={without_password(uri)} is not the address of a tracking store. Give "
            "http://HOST:PORT, postgresql://USER@HOST/NAME or sqlite:///FILE, or leave it out for "
            "the local file."
        )


def is_here(uri: str | None) -> bool:
    """Whether what is sent to an address stays on this machine."""
    host = urlsplit(uri).hostname if uri and not uri.startswith("sqlite") else None
    if uri is None or uri.startswith("sqlite") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def without_password(uri: str) -> str:
    """The address as it may be shown and written down."""
    return re.sub(r"//([^/@:]*):[^/@]*@", r"//\1:***@", uri)


def place_of(uri: str, out: Path) -> str:
    """How a spool names the store that it is for."""
    return LOCAL if uri == default_uri(out) else without_password(uri)


def uri_of(place: str, out: Path, given: str | None) -> str:
    """The address of a place; the one given to this command supplies a password."""
    if place == LOCAL:
        return default_uri(out)
    return given if given and without_password(given) == place else place
