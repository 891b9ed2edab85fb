"""The sample project's own Python: landing its data, and training on its features."""
