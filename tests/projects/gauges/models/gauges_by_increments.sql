{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['gauge_code', 'known_at'],
    event_time='known_at',
    meta={'feast': {'timestamp': 'known_at', 'batch': {'size': 'day', 'lateness': '1 day'}}}
) }}

{{ gauge_windows(ref('readings')) }}
