"""A measured folder in the tracking store."""

from pathlib import Path
from typing import Any

from medbench.tracking import check_uri, is_here, open_tracker


def track(result: dict[str, Any], folder: Path, uri: str, out: Path) -> None:
    """Send a result, its values and its page, as a run does."""
    check_uri(uri)
    tags = {
        "medbench.run": str(result["run"]),
        "medbench.attempt": "1",
        "medbench.protocol": str(result["protocol"]),
    }
    settings = {"uri": uri, "experiment": "medbench"}
    tracker = open_tracker(settings, out, folder, tags, enabled=True)
    values = {f"bench/{v['name']}": v["value"] for v in result["values"] if v["value"] is not None}
    tracker.metrics(values, 0)
    tracker.artifact(folder / "result.json")
    if is_here(uri) or not result.get("restricted"):  # the page holds texts and images
        tracker.artifact(folder / "report.html")
    tracker.close("FINISHED")
