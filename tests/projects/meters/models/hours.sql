-- Every hour of the days that there are readings of.
select {{ martfeast.timestamp_series("timestamp '2026-03-01 00:00:00'", "timestamp '2026-03-03 23:00:00'", 'hour') }} as hour_at
