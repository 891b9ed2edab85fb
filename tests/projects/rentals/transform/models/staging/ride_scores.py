"""How each ride is scored, in Python beside SQL."""


def model(dbt, session):
    """Return one row per ride, with its score."""
    return dbt.ref("stg_rides").project("bike_id, ended_at, ridden_minutes / 60 as score")
