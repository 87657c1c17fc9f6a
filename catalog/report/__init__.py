"""The report: query results as a Markdown page."""
