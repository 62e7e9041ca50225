"""Files that only a program of a package makes on a real system: made here by reading, without running it."""
