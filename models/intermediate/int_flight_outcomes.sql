with schedules as (

    select * from {{ ref('int_flight_schedules') }}

),

arrivals as (

    select * from {{ ref('int_flight_arrivals') }}

),

cancellations as (

    select * from {{ ref('int_flight_cancellations') }}

),

diversions as (

    select * from {{ ref('int_flight_diversions') }}

)

select
    schedules.flight_id,
    case
        when arrivals.flight_id is not null then 'flown'
        when cancellations.flight_id is not null then 'cancelled'
        when diversions.flight_id is not null then 'diverted'
        else 'not_yet_known'
    end as outcome,
    coalesce(arrivals.known_at, cancellations.known_at, diversions.known_at) as outcome_known_at
from schedules
left join arrivals on schedules.flight_id = arrivals.flight_id
left join cancellations on schedules.flight_id = cancellations.flight_id
left join diversions on schedules.flight_id = diversions.flight_id
