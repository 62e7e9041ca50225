"""What an image may be, whatever is known of its packages: seen as its files pass, held against [policy]."""
