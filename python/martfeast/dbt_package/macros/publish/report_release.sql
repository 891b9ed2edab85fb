{# Tell the analyst, in a few lines, what was published, what was held back and why. #}
{% macro report_release(folder, number, change_count) %}
  {% set sql %}
    select
        martfeast_release.mart,
        cast(to_json(martfeast_release.held_back) as varchar) as held_back,
        cast(to_json(martfeast_release.warnings) as varchar) as warnings,
        martfeast_release.version,
        martfeast_release.row_count,
        fresh.is_copied,
        fresh.restated_row_count,
        fresh.covered_row_count,
        cast(fresh.restated_partitions as varchar) as restated_partitions
    from martfeast_release
    left join martfeast_measured as fresh on martfeast_release.unique_id = fresh.mart_id
    order by martfeast_release.mart
  {% endset %}
  {% set rows = run_query(sql).rows %}
  {% set copied = [] %}
  {% set held_back = [] %}
  {% set warned = [] %}
  {% set restated = [] %}
  {% for row in rows %}
    {% if row['is_copied'] %}{% do copied.append(row['mart'] ~ ' ' ~ '{:,}'.format(row['row_count'] | int)) %}{% endif %}
    {% if row['is_copied'] and fromjson(row['restated_partitions'] or '[]') %}{% do restated.append(martfeast.restated_line(row)) %}{% endif %}
    {% set reasons = fromjson(row['held_back']) %}
    {% if reasons %}
      {% do held_back.append(
        row['mart'] ~ ': ' ~ reasons[0] ~ (' and ' ~ (reasons | length - 1) ~ ' more' if reasons | length > 1 else '')
        ~ ('; version ' ~ row['version'] ~ ' stays' if row['version'] else '')
      ) %}
    {% endif %}
    {% for warning in fromjson(row['warnings']) if not reasons %}{% do warned.append(row['mart'] ~ ': ' ~ warning) %}{% endfor %}
  {% endfor %}
  {% if not rows %}
    {% do log('martfeast: nothing was published: no model has meta.feast', info=true) %}
  {% elif change_count %}
    {% do log(
      'martfeast: release ' ~ number ~ ' in ' ~ folder ~ ': ' ~ copied | length ~ ' of ' ~ rows | length
      ~ ' marts have a new version', info=true
    ) %}
    {% if copied %}{% do log('martfeast: published (rows): ' ~ copied | join(', '), info=true) %}{% endif %}
  {% else %}
    {% do log(
      'martfeast: nothing new to publish' ~ ('; release ' ~ number ~ ' in ' ~ folder ~ ' stays' if number else ''),
      info=true
    ) %}
  {% endif %}
  {% for line in restated[:5] %}{% do log('martfeast: restated: ' ~ line, info=true) %}{% endfor %}
  {% for line in held_back[:10] %}{% do log('martfeast: held back: ' ~ line, info=true) %}{% endfor %}
  {% if held_back | length > 10 %}
    {% do log('martfeast: and ' ~ (held_back | length - 10) ~ ' more held back: see the model mart_readiness', info=true) %}
  {% endif %}
  {% for line in warned[:5] %}{% do log('martfeast: with a warning: ' ~ line, info=true) %}{% endfor %}
{% endmacro %}


{# How many rows of a mart are lost or others now, and in which of its partitions, the newest few by name. #}
{% macro restated_line(row) %}
  {% set partitions = fromjson(row['restated_partitions']) %}
  {% set named = [] %}
  {% for one in (partitions | reverse | list)[:3] %}{% do named.append(one['name'] ~ ' (' ~ '{:,}'.format(one['row_count']) ~ ')') %}{% endfor %}
  {{ return(
    row['mart'] ~ ': ' ~ '{:,}'.format(row['restated_row_count'] | int) ~ ' of '
    ~ '{:,}'.format(row['covered_row_count'] | int) ~ ' rows that were published before, in ' ~ named | join(', ')
    ~ (' and ' ~ (partitions | length - 3) ~ ' more' if partitions | length > 3 else '')
  ) }}
{% endmacro %}
