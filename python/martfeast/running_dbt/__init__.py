"""What runs dbt itself: the profile of a target, and a stand-in for one in DuckDB."""
