"""An image plan as one multi-stage Dockerfile that every builder understands.

The text follows from the plan, the lock and one pinned image alone. It keeps to what buildah (1.23),
BuildKit, Docker's classic builder and kaniko have in common: no heredocs, no mounts, no ``--chmod``, no pipes
that could hide a failure. See docs/dockerfile.md.
"""
