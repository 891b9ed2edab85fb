{#  The day of the build, by a macro that is the first of a list of them. #}
{% macro first_of_macros() %}{% set macros = [build_day] %}{{ return(macros[0]()) }}{% endmacro %}
