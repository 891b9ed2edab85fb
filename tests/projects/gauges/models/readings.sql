-- Readings known before a moment, so that a later build finds more of them.
{{ config(event_time='known_at') }}

select
    gauge_code,
    known_at,
    level_millimetres,
    flow_litres,
    is_alarm,
    observer,
    sample_count
from {{ ref('raw_readings') }}
where known_at < timestamp '{{ var("known_before", "2100-01-01") }}'
