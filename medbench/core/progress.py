"""Progress with the time left: a bar on a terminal, a line now and then in a log."""

import sys
import time
from types import TracebackType

LOG_EVERY_S = 20.0
DRAW_EVERY_S = 0.1


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, second = divmod(int(seconds + 0.5), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class Progress:
    """`with Progress("fit diffusion", total=2400, start=800) as bar: bar.update(1, loss=...)`."""

    def __init__(
        self, label: str, total: int, start: int = 0, unit: str = "step", quiet: bool = False
    ) -> None:
        self.label, self.total, self.start, self.unit, self.quiet = label, total, start, unit, quiet
        self.done = start
        self._terminal = sys.stderr.isatty()
        self._began = self._shown = time.monotonic()
        self._notes = ""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.quiet:
            self._print(final=True)

    def update(self, n: int = 1, **notes: float) -> None:
        """Advance by n; the notes (a loss, a rate) stand behind the bar."""
        self.done += n
        now = time.monotonic()
        if self.quiet or now - self._shown < (DRAW_EVERY_S if self._terminal else LOG_EVERY_S):
            return
        self._shown = now
        self._notes = " ".join(f"{name} {value:.4g}" for name, value in notes.items())
        self._print(final=False)

    def _print(self, final: bool) -> None:
        spent = time.monotonic() - self._began
        worked = self.done - self.start
        rate = worked / spent if spent > 0 else 0.0
        share = self.done / self.total if self.total else 1.0
        if final:
            times = f"in {clock(spent)}"
        else:
            left = clock((self.total - self.done) / rate) if rate > 0 else "?"
            times = f"{left} left"
        bar = "#" * int(24 * share)
        text = (
            f"{self.label:<28} [{bar:<24}] {self.done}/{self.total} {self.unit}s, {times}"
            f"{f', {rate:.3g}/s' if worked else ''} {self._notes}"
        ).rstrip()
        end = "\n" if final or not self._terminal else ""
        lead = "\r\x1b[2K" if self._terminal else ""
        print(f"{lead}{text}", end=end, file=sys.stderr, flush=True)
