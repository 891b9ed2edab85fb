"""What a project's YAML declares for Feast: marts, labels, exposures."""
