{#
  What windowed_features is asked for, checked and in full: a list of mappings, one for each aggregation, with name,
  function, of, per, where, type, empty and spans. A span is a window with its offset: see window_span.
#}
{% macro declared_aggregations(aggregations, windows, offsets, step) %}
  {% if step not in ['hour', 'day'] %}
    {% do martfeast.refuse_window('step ' ~ step ~ ' is not known', "Write 'hour' or 'day'") %}
  {% endif %}
  {% if not aggregations %}
    {% do martfeast.refuse_window('there are no aggregations', 'Declare one: a mapping with name and function') %}
  {% endif %}
  {% set declared = [] %}
  {% for aggregation in aggregations %}
    {% do declared.append(martfeast.declared_aggregation(aggregation, windows, offsets, step)) %}
  {% endfor %}
  {{ return(declared) }}
{% endmacro %}


{# One aggregation, checked and in full. Its own windows and offsets stand instead of the common ones. #}
{% macro declared_aggregation(aggregation, windows, offsets, step) %}
  {% set functions = martfeast.window_functions() %}
  {% set subject = 'aggregation ' ~ (aggregation.get('name') or aggregation) ~ ': ' %}
  {% set parts = ['name', 'function', 'of', 'per', 'where', 'type', 'empty', 'windows', 'offsets'] %}
  {% for part in aggregation if part not in parts %}
    {% do martfeast.refuse_window(subject ~ part ~ ' is not known', 'Write one of ' ~ parts | join(', ')) %}
  {% endfor %}
  {% set function = functions.get(aggregation.get('function')) %}
  {% if not aggregation.get('name') %}
    {% do martfeast.refuse_window(subject ~ 'it has no name', 'Give it one: its columns are <name>_<window>') %}
  {% elif not function %}
    {% do martfeast.refuse_window(
      subject ~ 'function ' ~ aggregation.get('function') ~ ' is not known', 'Write one of ' ~ functions | join(', ')
    ) %}
  {% elif function.needs_of and not aggregation.get('of') %}
    {% do martfeast.refuse_window(
      subject ~ 'of is missing', 'Say of what to take the ' ~ aggregation.function ~ ': SQL of the facts'
    ) %}
  {% elif aggregation.get('per') and not function.takes_per %}
    {% do martfeast.refuse_window(
      subject ~ aggregation.function ~ ' takes no per', 'Leave it out, or take the function mean or share'
    ) %}
  {% endif %}
  {% set spans = [] %}
  {% for window in aggregation.get('windows', windows) or [] %}
    {% do spans.append(martfeast.window_span(window, none, step, subject)) %}
    {% for offset in aggregation.get('offsets', offsets) or [] %}
      {% do spans.append(martfeast.window_span(window, offset, step, subject)) %}
    {% endfor %}
  {% endfor %}
  {% if not spans %}
    {% do martfeast.refuse_window(
      subject ~ 'it has no windows', "Give it some, or windowed_features: windows=['24 hours']"
    ) %}
  {% endif %}
  {{ return({
    'name': aggregation.name,
    'function': aggregation.function,
    'of': aggregation.get('of'),
    'per': aggregation.get('per'),
    'where': aggregation.get('where'),
    'type': aggregation.get('type', function.type),
    'empty': aggregation.get('empty', function.empty),
    'spans': spans,
  }) }}
{% endmacro %}


{#
  The functions by name: whether they need `of` and take `per`, the type that their columns are cast to (none: as the
  facts have it), and the value of an empty window (none: null).
#}
{% macro window_functions() %}
  {{ return({
    'count': {'needs_of': false, 'takes_per': false, 'type': 'bigint', 'empty': '0'},
    'sum': {'needs_of': true, 'takes_per': false, 'type': 'double', 'empty': '0'},
    'mean': {'needs_of': true, 'takes_per': true, 'type': 'double', 'empty': none},
    'share': {'needs_of': true, 'takes_per': true, 'type': 'double', 'empty': none},
    'min': {'needs_of': true, 'takes_per': false, 'type': none, 'empty': none},
    'max': {'needs_of': true, 'takes_per': false, 'type': none, 'empty': none},
    'stddev': {'needs_of': true, 'takes_per': false, 'type': 'double', 'empty': none},
    'last': {'needs_of': true, 'takes_per': false, 'type': none, 'empty': none},
    'distinct': {'needs_of': true, 'takes_per': false, 'type': 'bigint', 'empty': '0'},
  }) }}
{% endmacro %}


{#
  A window with its offset, in steps: `length`, `offset` (0 without one), and `name`, which its columns end in: 24h,
  7d, 7d_28d_ago.
#}
{% macro window_span(window, offset, step, subject) %}
  {% set length = martfeast.length_in_steps(window, step, subject ~ 'window ') %}
  {% if offset is none %}
    {{ return({'length': length.steps, 'offset': 0, 'name': length.name}) }}
  {% endif %}
  {% set shift = martfeast.length_in_steps(offset, step, subject ~ 'offset ') %}
  {{ return({'length': length.steps, 'offset': shift.steps, 'name': length.name ~ '_' ~ shift.name ~ '_ago'}) }}
{% endmacro %}


{# A length of time such as '24 hours' or '7 days': how many `steps` it has, and its short `name`: 24h, 7d. #}
{% macro length_in_steps(text, step, subject) %}
  {% set subject = subject ~ "'" ~ text ~ "' " %}
  {% set found = modules.re.fullmatch('(-?)([0-9]+) (hour|day|week)s?', text | string) %}
  {% if not found %}
    {% do martfeast.refuse_window(subject ~ 'is no length of time', "Write it as '24 hours', '7 days' or '2 weeks'") %}
  {% endif %}
  {% set number = found.group(2) | int %}
  {% if found.group(1) %}
    {% do martfeast.refuse_window(
      subject ~ 'looks ahead of the row, where nothing is known',
      'Write it without the minus: an offset counts into the past'
    ) %}
  {% elif number == 0 %}
    {% do martfeast.refuse_window(subject ~ 'holds nothing', 'Leave it out, or make it longer') %}
  {% endif %}
  {% set hours = number * {'hour': 1, 'day': 24, 'week': 168}[found.group(3)] %}
  {% set step_hours = {'hour': 1, 'day': 24}[step] %}
  {% if hours % step_hours != 0 %}
    {% do martfeast.refuse_window(
      subject ~ 'is no whole number of steps (' ~ step ~ ')', "Make it one, or take step='hour'"
    ) %}
  {% endif %}
  {{ return({'steps': hours // step_hours, 'name': number ~ found.group(3)[0]}) }}
{% endmacro %}


{# Refuse a column that there would be twice, and names that windowed_features has for its own steps. #}
{% macro refuse_window_names(names, entity, known_at, facts, spine) %}
  {% set taken = entity + [known_at, 'first_known_at', 'is_row'] %}
  {% for name in names %}
    {% if name in taken %}
      {% do martfeast.refuse_window('column ' ~ name ~ ' is there twice', 'Give one of its aggregations another name') %}
    {% endif %}
    {% do taken.append(name) %}
  {% endfor %}
  {% for relation in [facts, spine] if relation in [
    'facts_by_step', 'first_facts', 'bounds', 'series', 'moments', 'rows_to_make', 'timeline', 'windowed',
  ] %}
    {% do martfeast.refuse_window(
      'it has a common table expression ' ~ relation ~ ' of its own', 'Give yours another name'
    ) %}
  {% endfor %}
{% endmacro %}


{# Stop the compilation: the model, what is wrong, and the next step. #}
{% macro refuse_window(problem, next_step) %}
  {% do exceptions.raise_compiler_error(
    model.name ~ ': windowed_features: ' ~ problem ~ '. ' ~ next_step ~ '.'
  ) %}
{% endmacro %}
