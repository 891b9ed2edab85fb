with arrivals as (

    select * from {{ ref('int_flight_arrivals') }}
    where tail_number is not null

),

-- The landing before those that are looked at, however long ago it was.
earlier as (

    select
        tail_number,
        max(known_at) as known_at
    from arrivals
    where {{ martfeast.before_increment('known_at', look_back='30 days') }}
    group by tail_number

),

looked_at as (

    select * from arrivals
    where
        {{ martfeast.in_increment('known_at', look_back='30 days') }}
        or (tail_number, known_at) in (
            select
                earlier.tail_number,
                earlier.known_at
            from earlier
        )

),

-- One registration cannot land twice in a minute; where the source says so, one landing is kept.
ranked as (

    select
        *,
        row_number() over (partition by tail_number, known_at order by flight_id) as landing_number
    from looked_at

),

landings as (

    select * from ranked
    where landing_number = 1

),

rolling as (

    select
        tail_number,
        known_at,
        flight_id,
        destination_airport_code,
        arrival_delay_minutes,
        is_late_arrival,
        air_time_minutes,
        lag(known_at) over (partition by tail_number order by known_at) as previous_known_at,
        count(*) over last_7_days as arrival_count_7d,
        sum(air_time_minutes) over last_7_days as air_time_minutes_7d,
        sum(case when is_late_arrival then 1 else 0 end) over last_30_days as late_arrival_count_30d,
        count(*) over last_30_days as arrival_count_30d
    from landings
    window
        last_7_days as {{ rolling_window('tail_number', 'known_at', 168) }},
        last_30_days as {{ rolling_window('tail_number', 'known_at', 720) }}

)

select
    tail_number,
    known_at,
    flight_id,
    destination_airport_code,
    arrival_delay_minutes as aircraft_last_arrival_delay_minutes,
    air_time_minutes as aircraft_last_air_time_minutes,
    cast({{ dbt.datediff('previous_known_at', 'known_at', 'minute') }} as bigint)
        as aircraft_minutes_between_arrivals,
    cast(arrival_count_7d as bigint) as aircraft_arrival_count_7d,
    cast(air_time_minutes_7d as bigint) as aircraft_air_time_minutes_7d,
    cast(late_arrival_count_30d / nullif(arrival_count_30d, 0) as double)
        as aircraft_late_arrival_share_30d
from rolling
