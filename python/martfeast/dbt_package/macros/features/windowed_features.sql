{#
  Features over windows of time, declared once: a whole select statement, which may be a model or the body of a common
  table expression. docs/windows.md has the functions, the boundaries and what is exact.

  It gives a row for each entity and step of time, from the entity's first fact on, stamped with its moment T. A window
  W holds the facts known in (T - W, T]; with an offset O, those in (T - O - W, T - O]. Columns: the entity's, the
  stamp, and for each aggregation and window `<name>_<window>`, with an offset `<name>_<window>_<offset>_ago`.

  Facts are first put together for each step, and windows then add up steps. Where the model is built in increments
  (martfeast.increment), it reads the facts that far back that its windows are whole: a relation as it is rendered,
  without the filter that dbt puts on what a batch reads.

  facts: the facts, what ref() or source() gives, or the name of a common table expression in scope.
  entity: the columns whose values tell entities apart, a list; [] for one row over all facts.
  known_at: the column that says when each fact was known, and the name of the stamp.
  aggregations: a list of mappings: name, function (count, sum, mean, share, min, max, stddev, last, distinct), and
  where they apply of, per, where, type, empty, windows, offsets.
  windows, offsets: of aggregations that have none of their own: lists of lengths such as '24 hours', '7 days'.
  step: 'hour' or 'day'.
  spine, spine_moment: a relation, like facts, and its column with the moments at which there are rows. Without it they
  are all steps from the first fact to the last.
#}
{% macro windowed_features(facts, entity, known_at, aggregations, windows=[], offsets=[], step='hour', spine=none, spine_moment=none) -%}
  {%- set declared = martfeast.declared_aggregations(aggregations, windows, offsets, step) -%}
  {%- set partials = martfeast.window_partials(declared, known_at) -%}
  {%- set increment = martfeast.increment() -%}
  {#- Names are gathered in loops: a replay cannot tell what Jinja's map takes. -#}
  {%- set features, names, spans, partial_names, changes = [], [], {}, [], {} -%}
  {%- for aggregation in declared -%}
    {%- for span in aggregation.spans -%}
      {%- do names.append(aggregation.name ~ '_' ~ span.name) -%}
      {%- do features.append({
        'name': aggregation.name ~ '_' ~ span.name,
        'sql': martfeast.window_result(aggregation, partials, span, known_at),
      }) -%}
      {%- if aggregation.function == 'distinct' -%}
        {%- do changes.update({aggregation.name ~ '_change_' ~ span.name: {'name': aggregation.name, 'span': span}}) -%}
      {%- else -%}
        {%- set used = spans.setdefault(span.name, {'span': span, 'partials': []}).partials -%}
        {%- do used.extend(martfeast.partials_of(aggregation, known_at).values() | reject('in', used)) -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- for partial in partials.values() -%}
    {%- do partial_names.append(partial.name) -%}
  {%- endfor -%}
  {%- do martfeast.refuse_window_names(names, entity, known_at, facts, spine) -%}
  {%- do martfeast.refuse_window_names(partial_names + changes | list, entity, known_at, facts, spine) -%}
  {%- if spine is not none and not spine_moment -%}
    {%- do martfeast.refuse_window('spine has no spine_moment', 'Name its column with the moments') -%}
  {%- endif -%}
  {%- set reach = martfeast.longest_reach(declared) -%}
  {%- do martfeast.note_look_back(reach * (86400 if step == 'day' else 3600)) -%}
with
{{ martfeast.facts_by_step(facts, entity, known_at, partials, reach, step, increment) }}

{{ martfeast.rows_to_make(facts, entity, known_at, step, spine, spine_moment, increment) }}

{% for aggregation in declared if aggregation.function == 'distinct' -%}
{{ martfeast.spells_of_values(aggregation, facts, entity, known_at, reach, step, increment) }}

{% endfor -%}
{{ martfeast.timeline(entity, known_at, partial_names, changes, step) }}

windowed as (

    select
        {{ martfeast.listed(entity + [known_at, 'is_row'], 8) }}
        {%- for name, one in spans.items() %}
        {%- for partial in one.partials %},
        {{ partials[partial].merge }}({{ partials[partial].name }}) over last_{{ name }} as {{ partials[partial].name }}_{{ name }}
        {%- endfor %}
        {%- endfor %}
        {%- for change, one in changes.items() %},
        sum({{ change }}) over so_far as {{ one.name }}_values_{{ one.span.name }}
        {%- endfor %}
    from timeline
    window
        {%- for name, one in spans.items() %}
        last_{{ name }} as {{ martfeast.window_frame(entity, known_at, one.span, step) }}{{ ',' if changes or not loop.last }}
        {%- endfor %}
        {%- if changes %}
        so_far as ({{ 'partition by ' ~ entity | join(', ') ~ ' ' if entity }}order by {{ known_at }})
        {%- endif %}

)

select
    {{ martfeast.listed(entity + [known_at], 4) }},
    {%- for feature in features %}
    {{ feature.sql }} as {{ feature.name }}{{ ',' if not loop.last }}
    {%- endfor %}
from windowed
where is_row
{%- endmacro %}


{# How many steps the longest window reaches back, its offset included. #}
{% macro longest_reach(declared) %}
  {% set reaches = [] %}
  {% for aggregation in declared %}
    {% for span in aggregation.spans %}
      {% do reaches.append(span.length + span.offset) %}
    {% endfor %}
  {% endfor %}
  {{ return(reaches | max) }}
{% endmacro %}


{#
  Leave a note for the hook at the end of the run of how far before a row this model's windows reach: of a model that is
  made in batches dbt shows hooks no SQL.
#}
{% macro note_look_back(seconds) %}
  {% if execute and model.unique_id in graph.nodes %}
    {% set node = graph.nodes[model.unique_id] %}
    {% do node.update({'martfeast_look_back_seconds': [seconds, node.get('martfeast_look_back_seconds', 0)] | max}) %}
  {% endif %}
{% endmacro %}


{# Names as lines of a select, after the first one, so many spaces in. #}
{% macro listed(names, indent) %}
  {{- return(names | join(',\n' ~ ' ' * indent)) -}}
{% endmacro %}


{# The common table expression in which the facts of each step are put together; in an increment, those in its reach. #}
{% macro facts_by_step(facts, entity, known_at, partials, reach, step, increment) -%}
facts_by_step as (

    select
        {%- for column in entity %}
        {{ column }},
        {%- endfor %}
        {{ martfeast.window_end(known_at, step) }} as {{ known_at }}
        {%- for partial, column in partials.items() %},
        {{ partial }} as {{ column.name }}
        {%- endfor %}
    from {{ martfeast.whole_relation(facts, increment) }}
    where
        {{ martfeast.in_reach(known_at, reach, step, increment) }}
    group by all

),
{%- endmacro %}


{# The condition on facts that have a moment; in an increment, one that its windows reach. SQL. #}
{% macro in_reach(known_at, reach, step, increment) -%}
  {{ known_at }} is not null
        {%- if increment %}
        and {{ known_at }} > {{ increment.start }} - interval {{ reach + 1 }} {{ step }}
        {%- if increment.end %}
        and {{ known_at }} < {{ increment.end }}
        {%- endif %}
        {%- endif %}
{%- endmacro %}


{#
  The common table expressions that end in rows_to_make: the entities, each with its steps from its first fact on. An
  entity may be quiet for longer than an increment reads back, so there its first fact is looked for in all facts.
#}
{% macro rows_to_make(facts, entity, known_at, step, spine, spine_moment, increment) -%}
{%- set all_facts = martfeast.whole_relation(facts, increment) if increment else 'facts_by_step' -%}
first_facts as (

    select
        {%- for column in entity %}
        {{ column }},
        {%- endfor %}
        min({{ known_at }}) as first_known_at
    from {{ all_facts }}
    {%- if entity %}
    group by {{ entity | join(', ') }}
    {%- endif %}

),
{%- if spine is none %}

bounds as (

    select
        {{ martfeast.window_end('min(' ~ known_at ~ ')', step) }} as first_moment,
        {{ martfeast.window_end('max(' ~ known_at ~ ')', step) }} as last_moment
    from {{ all_facts }}

),

series as (

    select {{ martfeast.timestamp_series('first_moment', 'last_moment', step) }} as {{ known_at }}
    from bounds

),
{%- endif %}

moments as (

    select distinct {{ spine_moment ~ ' as ' if spine_moment and spine_moment != known_at }}{{ known_at }}
    from {{ martfeast.whole_relation(spine, increment) if spine is not none else 'series' }}
    where
        {{ spine_moment or known_at }} = {{ dbt.date_trunc(step, spine_moment or known_at) }}
        {%- if increment %}
        and {{ spine_moment or known_at }} >= {{ increment.start }}
        {%- if increment.end %}
        and {{ spine_moment or known_at }} < {{ increment.end }}
        {%- endif %}
        {%- endif %}

),

rows_to_make as (

    select
        {%- for column in entity %}
        first_facts.{{ column }},
        {%- endfor %}
        moments.{{ known_at }},
        true as is_row
    from first_facts
    inner join moments on first_facts.first_known_at <= moments.{{ known_at }}

),
{%- endmacro %}


{# What a window holds at each row of the timeline, whose stamps are ends of steps: a frame of SQL. #}
{% macro window_frame(entity, known_at, span, step) -%}
  {%- set frame_start = span.offset + span.length - 1 -%}
  (
            {%- if entity %}
            partition by {{ entity | join(', ') }}
            {%- endif %}
            order by {{ known_at }}
            range between interval {{ frame_start }} {{ step }} preceding and
            {%- if span.offset %} interval {{ span.offset }} {{ step }} preceding{% else %} current row{% endif %}
        )
{%- endmacro %}


{#
  A relation as SQL names it. In an increment without the filter of its batch, which would cut windows short: dbt puts
  it on each relation with an event_time. The name of a common table expression is taken as it is.
#}
{% macro whole_relation(relation, increment) %}
  {{ return(relation.render() if increment and relation is not string else relation) }}
{% endmacro %}
