with moments as (

    select distinct
        shop_id,
        ordered_at
    from {{ ref('orders') }}

)

select
    shop_id as subject_id,
    ordered_at as known_at,
    cast(date_diff(
        'minute', lag(ordered_at) over (partition by shop_id order by ordered_at), ordered_at
    ) as double) as feature_value
from moments
