"""What configuring packages would do to a root, found by reading their scripts and settings."""
