"""Where SQL runs, and what differs between engines."""
