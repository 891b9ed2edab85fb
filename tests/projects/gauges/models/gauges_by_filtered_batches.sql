{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='known_at',
    batch_size='day',
    begin='2013-07-01'
) }}

with filtered as (

    -- What dbt gives a batch of a relation with an event_time: the batch's own readings, and none before.
    select * from {{ ref('readings') }}

),

windows as (

    {{ gauge_windows('filtered') }}

)

select * from windows
