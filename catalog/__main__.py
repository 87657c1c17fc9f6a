"""`python -m catalog`."""

from __future__ import annotations

from catalog.cli.main import run

if __name__ == "__main__":
    run()
