"""`python -m mixwell`: the command `mixwell`, for where scripts are not on the path."""

from __future__ import annotations

from mixwell.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
