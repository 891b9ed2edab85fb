"""Training sets that are written once and measured, and drift between them."""
