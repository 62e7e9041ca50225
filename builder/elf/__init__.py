"""What ELF files say, and what the dynamic loader would load: bytes are read, nothing is executed."""
