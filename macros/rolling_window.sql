{#
  The window frame that looks back from a knowledge time T over a number of hours: it covers what is
  stamped after T minus the hours, up to and including T. Stamps are whole seconds or coarser.

  keys: SQL of the partition columns. known_at: SQL of the stamp. hours: the window's length.
#}
{% macro rolling_window(keys, known_at, hours) -%}
  (
    partition by {{ keys }}
    order by {{ known_at }}
    range between interval {{ hours * 3600 - 1 }} second preceding and current row
  )
{%- endmacro %}
