with events as (

    select * from {{ ref('int_flight_events_hourly') }}

),

hours as (

    select * from {{ ref('int_hours') }}

),

stamped as (

    select
        route_code,
        arrival_count,
        arrival_delay_minutes,
        late_arrival_count,
        cancellation_count,
        {{ window_end('known_at', 'day') }} as known_at
    from events

),

route_days as (

    select
        route_code,
        known_at,
        sum(arrival_count) as arrival_count,
        sum(arrival_delay_minutes) as arrival_delay_minutes,
        sum(late_arrival_count) as late_arrival_count,
        sum(cancellation_count) as cancellation_count
    from stamped
    group by route_code, known_at

),

spine as (

    {{ spine('route_days', ['route_code'], grain='day') }}

),

rolling as (

    select
        spine.route_code,
        spine.known_at,
        sum(route_days.arrival_count) over last_7_days as arrival_count_7d,
        sum(route_days.late_arrival_count) over last_7_days as late_arrival_count_7d,
        sum(route_days.arrival_count) over last_30_days as arrival_count_30d,
        sum(route_days.arrival_delay_minutes) over last_30_days as arrival_delay_minutes_30d,
        sum(route_days.late_arrival_count) over last_30_days as late_arrival_count_30d,
        sum(route_days.cancellation_count) over last_30_days as cancellation_count_30d
    from spine
    left join route_days
        on
            spine.route_code = route_days.route_code
            and spine.known_at = route_days.known_at
    window
        last_7_days as {{ rolling_window('spine.route_code', 'spine.known_at', 168) }},
        last_30_days as {{ rolling_window('spine.route_code', 'spine.known_at', 720) }}

)

select
    route_code,
    known_at,
    cast(late_arrival_count_7d / nullif(arrival_count_7d, 0) as double)
        as route_late_arrival_share_7d,
    cast(coalesce(arrival_count_30d, 0) as bigint) as route_arrival_count_30d,
    cast(arrival_delay_minutes_30d / nullif(arrival_count_30d, 0) as double)
        as route_mean_arrival_delay_minutes_30d,
    cast(late_arrival_count_30d / nullif(arrival_count_30d, 0) as double)
        as route_late_arrival_share_30d,
    cast(cancellation_count_30d / nullif(arrival_count_30d + cancellation_count_30d, 0) as double)
        as route_cancelled_share_30d
from rolling
