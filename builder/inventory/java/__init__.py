"""Java archives and build files → Maven components."""
