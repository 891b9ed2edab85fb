select
    station as station_code,
    dbt_valid_from as known_at,
    dock_count
from {{ ref('station_states') }}
