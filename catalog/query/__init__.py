"""Reading a catalog: read-only, bounded in time and rows, without SQLAlchemy on SQLite."""
