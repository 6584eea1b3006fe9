from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Fence',
            fields=[
                ('name', models.CharField(max_length=100, primary_key=True, serialize=False)),
                ('token', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='Counted',
            fields=[
                ('name', models.CharField(max_length=200, primary_key=True, serialize=False)),
                ('since', models.DateTimeField()),
                ('schedule', models.CharField(max_length=200)),
            ],
        ),
    ]
