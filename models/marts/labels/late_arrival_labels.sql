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
    schedules.carrier_code,
    schedules.origin_airport_code,
    schedules.route_code,
    schedules.tail_number,
    {{ dbt.dateadd(
        'minute', -var('predicted_before_departure_minutes'), 'schedules.scheduled_departure_at'
    ) }} as predicted_at,
    arrivals.is_late_arrival,
    coalesce(arrivals.known_at, cancellations.known_at, diversions.known_at) as label_known_at,
    case
        when arrivals.flight_id is not null then null
        when cancellations.flight_id is not null then 'cancelled'
        when diversions.flight_id is not null then 'diverted'
        else 'not_yet_known'
    end as no_label_reason
from schedules
left join arrivals on schedules.flight_id = arrivals.flight_id
left join cancellations on schedules.flight_id = cancellations.flight_id
left join diversions on schedules.flight_id = diversions.flight_id
