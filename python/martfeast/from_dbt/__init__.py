"""What dbt says: the project file and the artifacts of its last command."""
