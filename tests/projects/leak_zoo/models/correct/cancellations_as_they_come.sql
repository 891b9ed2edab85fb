-- current_timestamp and now() in a comment or in 'now()' a text read no clock.
with by_moment as (

    select
        shop_id,
        cancelled_at,
        count(*) as cancellation_count
    from {{ ref('cancellations') }}
    where 'now()' <> 'never'
    group by shop_id, cancelled_at

)

select
    shop_id as subject_id,
    cancelled_at as known_at,
    cast(sum(cancellation_count) over (
        partition by shop_id order by cancelled_at
        range between interval 1 day preceding and current row
    ) as double) as feature_value
from by_moment
