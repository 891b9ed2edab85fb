{{ martfeast.windowed_features(
    facts=ref('int_flight_events_hourly'),
    entity=['route_code'],
    known_at='known_at',
    step='day',
    spine=ref('int_hours'),
    spine_moment='hour_at',
    windows=['30 days'],
    aggregations=[
        {'name': 'route_late_arrival_share', 'function': 'share',
         'of': 'late_arrival_count', 'per': 'arrival_count', 'windows': ['7 days', '30 days']},
        {'name': 'route_arrival_count', 'function': 'sum', 'of': 'arrival_count', 'type': 'bigint'},
        {'name': 'route_mean_arrival_delay_minutes', 'function': 'mean',
         'of': 'arrival_delay_minutes', 'per': 'arrival_count'},
        {'name': 'route_cancelled_share', 'function': 'share',
         'of': 'cancellation_count', 'per': 'arrival_count + cancellation_count'},
    ]
) }}
