"""A dataset's record, drawn as a page for people and as Croissant for machines."""
