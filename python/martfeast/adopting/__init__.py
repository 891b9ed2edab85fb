"""How a dbt project takes martfeast on: what to write into it, and which models could be marts."""
