with arrivals as (

    select * from {{ ref('int_flight_arrivals') }}

),

cancellations as (

    select * from {{ ref('int_flight_cancellations') }}

),

diversions as (

    select * from {{ ref('int_flight_diversions') }}

)

select
    flight_id,
    'flown' as outcome,
    known_at
from arrivals

union all

select
    flight_id,
    'cancelled' as outcome,
    known_at
from cancellations

union all

select
    flight_id,
    'diverted' as outcome,
    known_at
from diversions
