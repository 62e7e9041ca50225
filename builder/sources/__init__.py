"""Where files come from; each source gives the nodes of a sysroot."""
