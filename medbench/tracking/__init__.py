"""Tracking with MLflow that a run never waits for: values go to a file, a thread sends them."""

from medbench.tracking.places import check_uri, default_uri, is_here
from medbench.tracking.sender import deliver
from medbench.tracking.tracker import NoTracker, Tracker, open_tracker

__all__ = ["NoTracker", "Tracker", "check_uri", "default_uri", "deliver", "is_here", "open_tracker"]
