"""What a command says when it stops for a reason that is not a bug."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """One or more mistakes that the user can mend; printed without a traceback, exit status 2."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived; everything worth keeping is on disk by the time it is raised."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.exit_status = 128 + signum


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the known name closest to a wrong one, or nothing."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
