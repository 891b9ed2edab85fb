"""Publishing marts that dbt built on an engine that cannot publish by itself."""
