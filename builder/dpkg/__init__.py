"""dpkg's own formats: versions and control paragraphs. Pure parsing."""
