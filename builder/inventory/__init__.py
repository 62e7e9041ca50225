"""What is in any image: files to components."""
