"""Puts the guard into every Python process that a test starts."""

import guard

guard.install()
