"""``python -m builder`` is ``rootlet``."""

from builder.cli.main import main

main()
