"""The differential suite: what the real libraries say of a zoo of files, and what catalog says.

It needs torch and the other libraries, so the ordinary run leaves this folder out; `make oracle`
runs it in an environment of its own.
"""
