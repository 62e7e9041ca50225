"""Mistakes that can be seen before anything is built, in Dockerfiles and recipes: text to remarks."""
