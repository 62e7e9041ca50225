"""What the image needs at run time, and why: payload, closure, scripts, features."""
