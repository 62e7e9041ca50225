"""Running programs of the machine; the only importer of subprocess."""
