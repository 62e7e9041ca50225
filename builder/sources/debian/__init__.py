"""The Debian archive: release, index, dependencies, fetch, unpack; without apt, dpkg or root."""
