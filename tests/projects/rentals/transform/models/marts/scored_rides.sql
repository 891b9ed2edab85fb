select
    bike_id,
    ended_at,
    score
from {{ ref('ride_scores') }}
