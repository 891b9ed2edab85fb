{#
  dbt's loading of a seed's rows on Spark, with each value as a literal. dbt-spark's binds them as text: in a session a
  null text becomes 'None', a quote ends the text, whole numbers go through doubles, and moments lose microseconds.
#}
{% macro spark__load_csv_rows(model, agate_table) %}
  {% set types = model['config'].get('column_types', {}) %}
  {% set statements = [] %}
  {% for chunk in agate_table.rows | batch(1000) %}
    {% set sql %}
      insert into {{ this.render() }} values
      {% for row in chunk %}
      (
          {% for value in row %}
          {% set name = agate_table.column_names[loop.index0] %}
          {% set type = types.get(name) or adapter.convert_type(agate_table, loop.index0) %}
          cast({{ martfeast.literal(value) }} as {{ type }}){{ ',' if not loop.last }}
          {% endfor %}
      ){{ ',' if not loop.last }}
      {% endfor %}
    {% endset %}
    {% do adapter.add_query(sql, abridge_sql_log=True) %}
    {% do statements.append(sql) %}
  {% endfor %}
  {# What dbt shows as the seed's SQL. #}
  {{ return(statements[0] if statements else '') }}
{% endmacro %}
