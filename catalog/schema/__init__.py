"""The database: tables, views, and how they are created, upgraded and backed up."""
