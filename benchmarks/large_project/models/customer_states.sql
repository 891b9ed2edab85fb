select
    cast(i % 200000 as bigint) as customer_id,
    cast(timestamp '2024-12-01' + to_seconds(i * 34128000 // {{ var('visit_count') }}) as timestamp)
        as known_at,
    {%- for number in range(20) %}
    cast(hash(i, {{ number }}) % 100000 as double) / 1000 as feature_{{ number }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
from range({{ var('visit_count') }}) as states (i)
