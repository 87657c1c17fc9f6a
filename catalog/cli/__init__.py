"""The command line: arguments in, one call into the library, formatted output, an exit code."""
