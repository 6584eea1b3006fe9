"""What only PostgreSQL has: an index that finds customers by a part of their name, whichever script it is in.

The index holds each character and each pair of neighbouring ones of a name. Trigrams would not do: most Chinese names have two or three
characters, and what is shorter than three has no trigram. `routing.customers.names` asks it.
"""

from typing import Any

from django.db import migrations

FUNCTION = """
CREATE FUNCTION routing_name_parts(name text, shortest integer) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ARRAY(
        SELECT substr(folded, place, size)
        FROM (SELECT upper(name) AS folded) AS one, generate_series(1, length(folded)) AS place, generate_series(shortest, 2) AS size
        WHERE place + size - 1 <= length(folded)
    )
$$
"""
INDEX = "CREATE INDEX customer_name_parts ON routing_customer USING gin (routing_name_parts(name, 1))"


def index_names(apps: Any, schema_editor: Any) -> None:
    """Create the function and the index."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(FUNCTION)
        cursor.execute(INDEX)


class Migration(migrations.Migration):
    dependencies = [("routing", "0001_initial")]

    operations = [migrations.RunPython(index_names)]
