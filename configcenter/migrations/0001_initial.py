import django.core.validators
import django.db.models.deletion
import posthaste.lib.crypto
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='ConfigState',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('revision', models.BigIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'state of the configuration',
                'verbose_name_plural': 'state of the configuration',
            },
        ),
        migrations.CreateModel(
            name='ConfigNamespace',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.CharField(max_length=128, verbose_name='id')),
                ('name', models.CharField(blank=True, max_length=128, verbose_name='name')),
                ('description', models.CharField(blank=True, max_length=256, verbose_name='description')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('tenant', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'namespace',
                'verbose_name_plural': 'namespaces',
                'ordering': ['slug'],
            },
        ),
        migrations.CreateModel(
            name='ConfigItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('group', models.CharField(max_length=128, verbose_name='group')),
                ('data_id', models.CharField(max_length=256, verbose_name='data id')),
                ('format', models.CharField(choices=[('text', 'Text'), ('json', 'JSON'), ('yaml', 'YAML'), ('properties', 'Properties'), ('xml', 'XML'), ('toml', 'TOML')], default='text', max_length=10, verbose_name='format')),
                ('description', models.CharField(blank=True, max_length=500, verbose_name='description')),
                ('is_encrypted', models.BooleanField(default=False, verbose_name='encrypted')),
                ('draft', posthaste.lib.crypto.SealableTextField(blank=True, null=True, sealed_by='is_encrypted', verbose_name='draft')),
                ('draft_version', models.PositiveIntegerField(default=0, editable=False)),
                ('draft_by', models.CharField(blank=True, max_length=150, verbose_name='draft by')),
                ('draft_at', models.DateTimeField(blank=True, null=True, verbose_name='draft changed')),
                ('gray_labels', models.JSONField(blank=True, default=list, help_text='name=value. Instances with any of these labels take part.', verbose_name='labels')),
                ('gray_percent', models.PositiveSmallIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(100)], verbose_name='per cent')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('override_of', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.tenant', verbose_name='override of tenant')),
                ('namespace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='configcenter.confignamespace', verbose_name='namespace')),
            ],
            options={
                'verbose_name': 'configuration item',
                'verbose_name_plural': 'configuration items',
                'ordering': ['namespace', 'group', 'data_id'],
            },
        ),
        migrations.CreateModel(
            name='ConfigRelease',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(verbose_name='version')),
                ('revision', models.BigIntegerField(db_index=True, editable=False)),
                ('action', models.CharField(choices=[('publish', 'Published'), ('rollback', 'Rolled back'), ('gray', 'Gray release'), ('promote', 'Promoted from a gray release'), ('abandon', 'Gray release abandoned'), ('import', 'Imported'), ('remove', 'Removed')], max_length=10, verbose_name='action')),
                ('content', posthaste.lib.crypto.SealableTextField(blank=True, sealed_by='is_encrypted', verbose_name='content')),
                ('md5', models.CharField(max_length=32, verbose_name='md5')),
                ('comment', models.CharField(blank=True, max_length=500, verbose_name='comment')),
                ('author', models.CharField(max_length=150, verbose_name='author')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('based_on', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='configcenter.configrelease', verbose_name='based on')),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='releases', to='configcenter.configitem', verbose_name='item')),
            ],
            options={
                'verbose_name': 'release',
                'verbose_name_plural': 'releases',
                'ordering': ['-number'],
            },
        ),
        migrations.AddField(
            model_name='configitem',
            name='current',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='configcenter.configrelease', verbose_name='in force'),
        ),
        migrations.AddField(
            model_name='configitem',
            name='gray',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='configcenter.configrelease', verbose_name='gray release'),
        ),
        migrations.AddConstraint(
            model_name='confignamespace',
            constraint=models.UniqueConstraint(fields=('tenant', 'slug'), name='namespace_once_a_tenant'),
        ),
        migrations.AddConstraint(
            model_name='confignamespace',
            constraint=models.UniqueConstraint(condition=models.Q(('tenant', None)), fields=('slug',), name='namespace_once'),
        ),
        migrations.AddConstraint(
            model_name='configrelease',
            constraint=models.UniqueConstraint(fields=('item', 'number'), name='release_number_once_an_item'),
        ),
        migrations.AddConstraint(
            model_name='configitem',
            constraint=models.UniqueConstraint(fields=('namespace', 'group', 'data_id', 'override_of'), name='item_once_a_tenant'),
        ),
        migrations.AddConstraint(
            model_name='configitem',
            constraint=models.UniqueConstraint(condition=models.Q(('override_of', None)), fields=('namespace', 'group', 'data_id'), name='item_once'),
        ),
    ]
