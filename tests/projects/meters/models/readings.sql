-- A table without a contract, of months: the batches of what reads it are days.
{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='known_at',
    batch_size='month',
    begin='2026-03-01',
    partition_by='batch_start'
) }}

select
    meter_code,
    known_at,
    level_millimetres
from {{ ref('raw_readings') }}
