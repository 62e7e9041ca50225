"""Proof on the finished image: its links between objects, its smoke tests."""
