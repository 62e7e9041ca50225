"""Version orders, one module for each scheme. Pure, and light to import.

Every module has two functions: ``is_version(text)`` tells whether the text has the scheme's form, and
``version_key(text)`` gives a key that sorts as the ecosystem's own tool does (ValueError for a text
without that form). Debian's scheme is :mod:`builder.dpkg.version`. ``schemes.py`` names them all.

Numbers are compared as ``(length, digits)`` without leading zeros: the order of the numbers themselves,
whatever their length.
"""
