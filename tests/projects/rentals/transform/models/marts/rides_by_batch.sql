{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    batch_size='month',
    begin='2026-05-01',
    on_schema_change='fail'
) }}

select
    bike_id,
    ended_at,
    ridden_minutes as last_ridden_minutes,
    ridden_minutes > 60 as is_long
from {{ ref('stg_rides') }}
