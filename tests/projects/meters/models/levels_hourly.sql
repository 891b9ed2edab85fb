{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    batch_size=env_var('METERS_BATCH', 'day'),
    begin='2026-03-01',
    partition_by=env_var('METERS_PARTITION', 'batch_start'),
    on_schema_change='fail'
) }}

{{ martfeast.windowed_features(
    facts=ref('readings'),
    entity=['meter_code'],
    known_at='known_at',
    step='hour',
    spine=ref('hours'),
    spine_moment='hour_at',
    windows=['30 hours'],
    aggregations=[
        {'name': 'level_sum', 'function': 'sum', 'of': 'level_millimetres', 'type': 'bigint'},
        {'name': 'readings', 'function': 'count'},
    ]
) }}
