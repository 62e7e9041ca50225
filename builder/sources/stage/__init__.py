"""Build stages: commands run by buildah in a room of their own, and what they leave as a tree of files."""
