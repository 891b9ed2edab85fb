{{ martfeast.windowed_features(
    facts=ref('int_flight_events_hourly'),
    entity=['carrier_code'],
    known_at='known_at',
    spine=ref('int_hours'),
    spine_moment='hour_at',
    windows=['24 hours'],
    aggregations=[
        {'name': 'carrier_departure_count', 'function': 'sum', 'of': 'departure_count', 'type': 'bigint'},
        {'name': 'carrier_mean_departure_delay_minutes', 'function': 'mean',
         'of': 'departure_delay_minutes', 'per': 'departure_count'},
        {'name': 'carrier_cancellation_count', 'function': 'sum', 'of': 'cancellation_count', 'type': 'bigint'},
        {'name': 'carrier_arrival_count', 'function': 'sum', 'of': 'arrival_count', 'type': 'bigint'},
        {'name': 'carrier_mean_arrival_delay_minutes', 'function': 'mean',
         'of': 'arrival_delay_minutes', 'per': 'arrival_count'},
        {'name': 'carrier_late_arrival_share', 'function': 'share',
         'of': 'late_arrival_count', 'per': 'arrival_count', 'windows': ['24 hours', '7 days']},
    ]
) }}
