{{ martfeast.windowed_features(
    facts=ref('int_flight_events_hourly'),
    entity=['carrier_code', 'origin_airport_code'],
    known_at='known_at',
    spine=ref('int_hours'),
    spine_moment='hour_at',
    aggregations=[
        {'name': 'carrier_airport_departure_count', 'function': 'sum',
         'of': 'departure_count', 'type': 'bigint', 'windows': ['3 hours']},
        {'name': 'carrier_airport_mean_departure_delay_minutes', 'function': 'mean',
         'of': 'departure_delay_minutes', 'per': 'departure_count', 'windows': ['3 hours']},
        {'name': 'carrier_airport_cancellation_count', 'function': 'sum',
         'of': 'cancellation_count', 'type': 'bigint', 'windows': ['24 hours']},
        {'name': 'carrier_airport_cancelled_share', 'function': 'share',
         'of': 'cancellation_count', 'per': 'departure_count + cancellation_count', 'windows': ['24 hours']},
    ]
) }}
