{{ config(
    materialized='incremental',
    incremental_strategy='replace_range',
    event_time='known_at',
    batch_size='day'
) }}

{{ gauge_windows(ref('readings')) }}
