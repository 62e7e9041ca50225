"""Python's packages as a source: wheels for the image's platform and Python, unpacked and never run."""
