"""Formats that made files are read from and written in; nothing here knows a package."""
