-- Every landed flight is in the fact table and in the label mart, once, and has an outcome. Returns the
-- tables whose row count differs from the source's.
with landed as (

    select count(*) as row_count from {{ source('nycflights13', 'flights') }}

),

counts as (

    select
        'fct_flights' as mart,
        count(*) as row_count
    from {{ ref('fct_flights') }}
    where outcome in ('flown', 'cancelled', 'diverted')

    union all

    select
        'late_arrival_labels' as mart,
        count(*) as row_count
    from {{ ref('late_arrival_labels') }}

    union all

    select
        'flight_schedules' as mart,
        count(*) as row_count
    from {{ ref('flight_schedules') }}

)

select counts.*
from counts
cross join landed
where counts.row_count <> landed.row_count
