"""Shell programs read into values, never run: for maintainer scripts and for the commands of Dockerfiles."""
