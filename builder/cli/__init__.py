"""Commands: one file a command; the only reader of os.environ and the only sys.exit."""
