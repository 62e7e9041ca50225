"""rootlet: a recipe compiler for minimal container images."""

__version__ = "0.1.0"
