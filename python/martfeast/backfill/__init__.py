"""Makes past ranges of a mart anew, batch by batch, and says what changed."""
