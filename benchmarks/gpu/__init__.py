"""Runs that want a GPU; see README.md."""
