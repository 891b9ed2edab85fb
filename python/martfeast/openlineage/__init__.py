"""What happened, told to a data catalog as OpenLineage events; off unless a transport is set up."""
