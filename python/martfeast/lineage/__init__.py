"""Where each column comes from."""
