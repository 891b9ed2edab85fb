"""The catalog of a project's features as a folder of plain HTML, for people and for machines."""
