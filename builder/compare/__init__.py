"""Two images side by side: what is in one and not, or otherwise, in the other."""
