{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='known_at',
    batch_size='day',
    begin='2013-07-01'
) }}

{{ gauge_windows(ref('readings')) }}
