"""Apart from the copying: PostgreSQL changes no table in a transaction that has written to its neighbours."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("configcenter", "0006_pools_become_configuration")]
    operations = [migrations.DeleteModel(name="ThreadPoolConfig")]
