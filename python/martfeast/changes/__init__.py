"""What a change touches."""
