"""The image as pure data: layers of entries, each with its provenance."""
