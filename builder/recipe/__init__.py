"""The recipe: what the author wrote, validated; knows no file that exists."""
