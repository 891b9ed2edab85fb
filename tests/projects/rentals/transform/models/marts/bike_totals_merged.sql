-- Rows of the last two days are made again, and merged into those that are there.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['bike_id', 'ended_at'],
    on_schema_change='fail'
) }}

with totals as (
    select
        bike_id,
        ended_at,
        count(*) over so_far as ride_count,
        sum(ridden_minutes) over so_far as ridden_minutes
    from {{ ref('stg_rides') }}
    window so_far as (partition by bike_id order by ended_at)
)

select
    bike_id,
    ended_at,
    ride_count,
    ridden_minutes
from totals
{% if is_incremental() %}
    where ended_at > (select max(ended_at) - interval 2 day from {{ this }})
{% endif %}
