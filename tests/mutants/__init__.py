"""Planted faults: each must be caught by a test. See `python -m tests.mutants --help`."""
