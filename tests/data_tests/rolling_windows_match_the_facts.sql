-- The marts add up hourly sums. This counts the single facts again, between T minus the window and T,
-- at the knowledge times of some rows of each mart, and returns the rows that differ. Facts are found by the day that
-- they were known on, one join for each day a window touches: engines join by equality what they cannot by range.
with departures as (

    select * from {{ ref('int_flight_departures') }}

),

arrivals as (

    select * from {{ ref('int_flight_arrivals') }}

),

cancellations as (

    select * from {{ ref('int_flight_cancellations') }}

),

days_back as (

    select numbers.days_back
    from (values ({{ range(31) | join('), (') }})) as numbers (days_back)

),

carrier_sample as (

    select * from {{ ref('carrier_performance_hourly') }}
    where extract(day from known_at) = 9 and extract(hour from known_at) in (3, 20)

),

carrier_days as (

    select
        carrier_sample.carrier_code,
        carrier_sample.known_at,
        cast({{ dbt.dateadd('day', '-days_back.days_back', 'carrier_sample.known_at') }} as date)
            as fact_date
    from carrier_sample
    cross join days_back
    where days_back.days_back <= 7

),

carrier_departures as (

    select
        carrier_days.carrier_code,
        carrier_days.known_at,
        count(departures.flight_id) as departure_count,
        avg(departures.departure_delay_minutes) as mean_departure_delay_minutes
    from carrier_days
    left join departures
        on
            carrier_days.carrier_code = departures.carrier_code
            and carrier_days.fact_date = cast(departures.known_at as date)
            and carrier_days.known_at - interval 24 hour < departures.known_at
            and carrier_days.known_at >= departures.known_at
    group by carrier_days.carrier_code, carrier_days.known_at

),

carrier_cancellations as (

    select
        carrier_days.carrier_code,
        carrier_days.known_at,
        count(cancellations.flight_id) as cancellation_count
    from carrier_days
    left join cancellations
        on
            carrier_days.carrier_code = cancellations.carrier_code
            and carrier_days.fact_date = cast(cancellations.known_at as date)
            and carrier_days.known_at - interval 24 hour < cancellations.known_at
            and carrier_days.known_at >= cancellations.known_at
    group by carrier_days.carrier_code, carrier_days.known_at

),

carrier_arrivals as (

    select
        carrier_days.carrier_code,
        carrier_days.known_at,
        count(
            case
                when arrivals.known_at > carrier_days.known_at - interval 24 hour then 1
            end
        ) as arrival_count,
        avg(
            case
                when arrivals.known_at > carrier_days.known_at - interval 24 hour
                    then arrivals.arrival_delay_minutes
            end
        ) as mean_arrival_delay_minutes,
        avg(
            case
                when arrivals.known_at > carrier_days.known_at - interval 24 hour
                    then cast(arrivals.is_late_arrival as integer)
            end
        ) as late_arrival_share_24h,
        avg(cast(arrivals.is_late_arrival as integer)) as late_arrival_share_7d
    from carrier_days
    left join arrivals
        on
            carrier_days.carrier_code = arrivals.carrier_code
            and carrier_days.fact_date = cast(arrivals.known_at as date)
            and carrier_days.known_at - interval 168 hour < arrivals.known_at
            and carrier_days.known_at >= arrivals.known_at
    group by carrier_days.carrier_code, carrier_days.known_at

),

carrier_differences as (

    select
        'carrier_performance_hourly' as mart,
        carrier_sample.carrier_code as entity_key,
        carrier_sample.known_at
    from carrier_sample
    inner join carrier_departures
        on
            carrier_sample.carrier_code = carrier_departures.carrier_code
            and carrier_sample.known_at = carrier_departures.known_at
    inner join carrier_cancellations
        on
            carrier_sample.carrier_code = carrier_cancellations.carrier_code
            and carrier_sample.known_at = carrier_cancellations.known_at
    inner join carrier_arrivals
        on
            carrier_sample.carrier_code = carrier_arrivals.carrier_code
            and carrier_sample.known_at = carrier_arrivals.known_at
    where
        carrier_sample.carrier_departure_count_24h <> carrier_departures.departure_count
        or carrier_sample.carrier_cancellation_count_24h
        <> carrier_cancellations.cancellation_count
        or carrier_sample.carrier_arrival_count_24h <> carrier_arrivals.arrival_count
        or {{ differs(
            'carrier_sample.carrier_mean_departure_delay_minutes_24h',
            'carrier_departures.mean_departure_delay_minutes'
        ) }}
        or {{ differs(
            'carrier_sample.carrier_mean_arrival_delay_minutes_24h',
            'carrier_arrivals.mean_arrival_delay_minutes'
        ) }}
        or {{ differs(
            'carrier_sample.carrier_late_arrival_share_24h',
            'carrier_arrivals.late_arrival_share_24h'
        ) }}
        or {{ differs(
            'carrier_sample.carrier_late_arrival_share_7d',
            'carrier_arrivals.late_arrival_share_7d'
        ) }}

),

airport_sample as (

    select * from {{ ref('airport_congestion_hourly') }}
    where extract(day from known_at) = 9

),

airport_days as (

    select
        airport_sample.origin_airport_code,
        airport_sample.known_at,
        cast({{ dbt.dateadd('day', '-days_back.days_back', 'airport_sample.known_at') }} as date)
            as fact_date
    from airport_sample
    cross join days_back
    where days_back.days_back <= 1

),

airport_departures as (

    select
        airport_days.origin_airport_code,
        airport_days.known_at,
        count(
            case
                when departures.known_at > airport_days.known_at - interval 3 hour then 1
            end
        ) as departure_count_3h,
        avg(
            case
                when departures.known_at > airport_days.known_at - interval 3 hour
                    then departures.departure_delay_minutes
            end
        ) as mean_departure_delay_minutes_3h,
        avg(departures.departure_delay_minutes) as mean_departure_delay_minutes_24h
    from airport_days
    left join departures
        on
            airport_days.origin_airport_code = departures.origin_airport_code
            and airport_days.fact_date = cast(departures.known_at as date)
            and airport_days.known_at - interval 24 hour < departures.known_at
            and airport_days.known_at >= departures.known_at
    group by airport_days.origin_airport_code, airport_days.known_at

),

airport_differences as (

    select
        'airport_congestion_hourly' as mart,
        airport_sample.origin_airport_code as entity_key,
        airport_sample.known_at
    from airport_sample
    inner join airport_departures
        on
            airport_sample.origin_airport_code = airport_departures.origin_airport_code
            and airport_sample.known_at = airport_departures.known_at
    where
        airport_sample.airport_departure_count_3h <> airport_departures.departure_count_3h
        or {{ differs(
            'airport_sample.airport_mean_departure_delay_minutes_3h',
            'airport_departures.mean_departure_delay_minutes_3h'
        ) }}
        or {{ differs(
            'airport_sample.airport_mean_departure_delay_minutes_24h',
            'airport_departures.mean_departure_delay_minutes_24h'
        ) }}

),

route_sample as (

    select * from {{ ref('route_performance_daily') }}
    where extract(day from known_at) = 9 and extract(month from known_at) in (2, 7, 11)

),

route_days as (

    select
        route_sample.route_code,
        route_sample.known_at,
        cast({{ dbt.dateadd('day', '-days_back.days_back', 'route_sample.known_at') }} as date)
            as fact_date
    from route_sample
    cross join days_back
    where days_back.days_back <= 30

),

route_arrivals as (

    select
        route_days.route_code,
        route_days.known_at,
        count(arrivals.flight_id) as arrival_count_30d,
        avg(arrivals.arrival_delay_minutes) as mean_arrival_delay_minutes_30d,
        avg(cast(arrivals.is_late_arrival as integer)) as late_arrival_share_30d,
        avg(
            case
                when arrivals.known_at > route_days.known_at - interval 168 hour
                    then cast(arrivals.is_late_arrival as integer)
            end
        ) as late_arrival_share_7d
    from route_days
    left join arrivals
        on
            route_days.route_code = arrivals.route_code
            and route_days.fact_date = cast(arrivals.known_at as date)
            and route_days.known_at - interval 720 hour < arrivals.known_at
            and route_days.known_at >= arrivals.known_at
    group by route_days.route_code, route_days.known_at

),

route_differences as (

    select
        'route_performance_daily' as mart,
        route_sample.route_code as entity_key,
        route_sample.known_at
    from route_sample
    inner join route_arrivals
        on
            route_sample.route_code = route_arrivals.route_code
            and route_sample.known_at = route_arrivals.known_at
    where
        route_sample.route_arrival_count_30d <> route_arrivals.arrival_count_30d
        or {{ differs(
            'route_sample.route_mean_arrival_delay_minutes_30d',
            'route_arrivals.mean_arrival_delay_minutes_30d'
        ) }}
        or {{ differs(
            'route_sample.route_late_arrival_share_30d', 'route_arrivals.late_arrival_share_30d'
        ) }}
        or {{ differs(
            'route_sample.route_late_arrival_share_7d', 'route_arrivals.late_arrival_share_7d'
        ) }}

)

select * from carrier_differences
union all
select * from airport_differences
union all
select * from route_differences
