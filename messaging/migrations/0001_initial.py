import datetime
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import messaging.channels.channel
import messaging.models.provider
import messaging.models.webhook
import posthaste.lib.crypto
import posthaste.lib.ids
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='FlowRollup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('span_seconds', models.PositiveIntegerField()),
                ('starts_at', models.DateTimeField()),
                ('tenant_id', models.BigIntegerField()),
                ('channel', models.CharField(max_length=10)),
                ('event', models.CharField(max_length=12)),
                ('number', models.BigIntegerField()),
                ('latency', models.TextField(blank=True, default='')),
            ],
            options={
                'indexes': [models.Index(fields=['span_seconds', 'starts_at'], name='flow_rollup_span')],
                'constraints': [models.UniqueConstraint(fields=('tenant_id', 'span_seconds', 'starts_at', 'channel', 'event'), name='flow_rollup_once')],
            },
        ),
        migrations.CreateModel(
            name='QueueRollup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('span_seconds', models.PositiveIntegerField()),
                ('starts_at', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('depth', models.BigIntegerField(null=True)),
                ('capacity', models.BigIntegerField()),
                ('threads', models.BigIntegerField()),
                ('busy', models.BigIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('span_seconds', 'starts_at'), name='queue_rollup_once')],
            },
        ),
        migrations.CreateModel(
            name='TallyChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('batch_id', models.UUIDField(default=uuid.UUID('00000000-0000-0000-0000-000000000000'))),
                ('hour', models.DateTimeField(default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc))),
                ('tenant_id', models.BigIntegerField(default=0)),
                ('channel', models.CharField(default='', max_length=10)),
                ('status', models.CharField(default='', max_length=10)),
                ('bucket', models.SmallIntegerField(default=-1)),
                ('number', models.BigIntegerField()),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('id', models.UUIDField(default=posthaste.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(blank=True, max_length=200, verbose_name='name')),
                ('channel', models.CharField(choices=messaging.channels.channel.channel_choices, max_length=10, verbose_name='channel')),
                ('priority', models.PositiveSmallIntegerField(default=5, verbose_name='priority')),
                ('status', models.CharField(choices=[('running', 'Running'), ('paused', 'Paused'), ('cancelled', 'Cancelled'), ('finished', 'Finished')], default='running', max_length=10, verbose_name='status')),
                ('accepted', models.PositiveIntegerField(default=0, verbose_name='accepted')),
                ('rejected', models.PositiveIntegerField(default=0, verbose_name='rejected')),
                ('dropped', models.PositiveIntegerField(default=0, verbose_name='duplicates dropped')),
                ('send_at', models.DateTimeField(blank=True, null=True, verbose_name='send at')),
                ('created_at', models.DateTimeField(verbose_name='created')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
                ('api_key', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.apikey', verbose_name='API key')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'batch',
                'verbose_name_plural': 'batches',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Provider',
            fields=[
                ('id', models.UUIDField(default=posthaste.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('channel', models.CharField(choices=messaging.channels.channel.channel_choices, max_length=10, verbose_name='channel')),
                ('kind', models.CharField(help_text='The adapter that connects to it.', max_length=20, verbose_name='kind')),
                ('config', posthaste.lib.crypto.EncryptedJSONField(default=dict, verbose_name='configuration')),
                ('receipt_secret', posthaste.lib.crypto.EncryptedJSONField(default=messaging.models.provider.new_receipt_secret, editable=False, verbose_name='receipt secret')),
                ('weight', models.PositiveSmallIntegerField(default=100, help_text="Share of the channel's traffic. 0: used only when the others fail.", validators=[django.core.validators.MaxValueValidator(1000)], verbose_name='weight')),
                ('max_per_second', models.PositiveIntegerField(blank=True, help_text='Messages above it wait; they do not fail. Empty: no cap.', null=True, verbose_name='maximum per second')),
                ('max_at_once', models.PositiveIntegerField(blank=True, help_text='Concurrent calls, across all workers. Messages above it wait; they do not fail. Empty: no cap.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(10000)], verbose_name='maximum concurrent calls')),
                ('is_enabled', models.BooleanField(default=True, verbose_name='enabled')),
                ('is_stand_in', models.BooleanField(default=False, help_text='Used only if the channel has no other enabled provider.', verbose_name='stand-in')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='changed')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'provider',
                'verbose_name_plural': 'providers',
                'ordering': ['channel', 'name'],
            },
        ),
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.UUIDField(default=posthaste.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('channel', models.CharField(choices=messaging.channels.channel.channel_choices, max_length=10, verbose_name='channel')),
                ('recipient', models.CharField(max_length=2048, verbose_name='recipient')),
                ('priority', models.PositiveSmallIntegerField(default=5, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(10)], verbose_name='priority')),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('queued', 'Queued'), ('sending', 'Sending'), ('sent', 'Sent'), ('delivered', 'Delivered'), ('unknown', 'Unknown'), ('failed', 'Failed'), ('suppressed', 'Suppressed'), ('cancelled', 'Cancelled'), ('expired', 'Expired')], default='pending', max_length=10, verbose_name='status')),
                ('is_sandbox', models.BooleanField(default=False, help_text='Accepted with a sandbox key: never sent to a real provider.', verbose_name='sandbox')),
                ('category', models.CharField(blank=True, db_default='', default='', help_text='The kind of message, for delivery rules: marketing, code …', max_length=40, verbose_name='category')),
                ('time_zone', models.CharField(blank=True, db_default='', default='', help_text="The recipient's time zone. Empty: derived from the phone number.", max_length=64, verbose_name='time zone')),
                ('variables', models.JSONField(blank=True, default=dict, verbose_name='variables')),
                ('subject', models.CharField(blank=True, max_length=998, verbose_name='subject')),
                ('body', models.TextField(blank=True, verbose_name='body')),
                ('segments', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='SMS segments')),
                ('reference', models.CharField(blank=True, help_text="The caller's own reference.", max_length=128, verbose_name='reference')),
                ('metadata', models.JSONField(blank=True, default=dict, verbose_name='metadata')),
                ('created_at', models.DateTimeField(verbose_name='accepted at')),
                ('due_at', models.DateTimeField(help_text='Not sent before this time: scheduled or waiting for a retry.', verbose_name='due at')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='expires at')),
                ('queued_at', models.DateTimeField(blank=True, null=True, verbose_name='queued at')),
                ('claimed_at', models.DateTimeField(blank=True, null=True, verbose_name='claimed at')),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='sent at')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished at')),
                ('latency_ms', models.PositiveIntegerField(blank=True, help_text='From due to accepted by the provider.', null=True, verbose_name='latency (ms)')),
                ('claim', models.UUIDField(blank=True, editable=False, null=True)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('provider_message_id', models.CharField(blank=True, max_length=200, verbose_name="provider's id")),
                ('error_code', models.CharField(blank=True, max_length=60, verbose_name='error')),
                ('error_detail', models.CharField(blank=True, max_length=500, verbose_name='what happened')),
                ('api_key', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.apikey', verbose_name='API key')),
                ('batch', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='messaging.batch', verbose_name='batch')),
                ('tenant', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.tenant', verbose_name='tenant')),
                ('provider', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='messaging.provider', verbose_name='provider')),
            ],
            options={
                'verbose_name': 'message',
                'verbose_name_plural': 'messages',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='ReceiptEntry',
            fields=[
                ('id', models.UUIDField(default=posthaste.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('provider_message_id', models.CharField(blank=True, max_length=200, verbose_name="provider's id")),
                ('reported', models.CharField(max_length=10, verbose_name='reported')),
                ('outcome', models.CharField(choices=[('applied', 'Applied'), ('duplicate', 'Duplicate: nothing changed'), ('late', 'Late: the message already had another outcome'), ('unmatched', 'Unmatched: no such message')], max_length=10, verbose_name='outcome')),
                ('code', models.CharField(blank=True, max_length=60, verbose_name='code')),
                ('detail', models.CharField(blank=True, max_length=500, verbose_name='detail')),
                ('received_at', models.DateTimeField(auto_now_add=True, verbose_name='received')),
                ('message', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='messaging.message', verbose_name='message')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.provider', verbose_name='provider')),
            ],
            options={
                'verbose_name': 'receipt',
                'verbose_name_plural': 'receipts',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Suppression',
            fields=[
                ('id', models.UUIDField(default=posthaste.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('recipient', models.CharField(max_length=2048, verbose_name='recipient')),
                ('channel', models.CharField(blank=True, choices=messaging.channels.channel.channel_choices, help_text='Empty: all channels.', max_length=10, verbose_name='channel')),
                ('category', models.CharField(blank=True, help_text='Only messages of this category. Empty: all.', max_length=40, verbose_name='category')),
                ('reason', models.CharField(choices=[('manual', 'Manual'), ('api', 'API'), ('hard_bounce', 'Hard bounce'), ('unsubscribe', 'Unsubscribed'), ('complaint', 'Complaint')], default='manual', max_length=12, verbose_name='reason')),
                ('message_id', models.UUIDField(blank=True, editable=False, help_text='The message that caused the entry.', null=True, verbose_name='message')),
                ('created_by', models.CharField(blank=True, editable=False, max_length=150, verbose_name='by')),
                ('created_at', models.DateTimeField(verbose_name='created')),
                ('expires_at', models.DateTimeField(blank=True, help_text='In UTC. Empty: never.', null=True, verbose_name='expires')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'suppressed recipient',
                'verbose_name_plural': 'suppressed recipients',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Tally',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('batch_id', models.UUIDField(default=uuid.UUID('00000000-0000-0000-0000-000000000000'))),
                ('hour', models.DateTimeField(default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc))),
                ('tenant_id', models.BigIntegerField(default=0)),
                ('channel', models.CharField(default='', max_length=10)),
                ('status', models.CharField(default='', max_length=10)),
                ('bucket', models.SmallIntegerField(default=-1)),
                ('number', models.BigIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('batch_id', 'hour', 'tenant_id', 'channel', 'status', 'bucket'), name='tally_once_a_key')],
            },
        ),
        migrations.CreateModel(
            name='Template',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(help_text='The name callers use in `template`.', max_length=80, verbose_name='name')),
                ('channel', models.CharField(choices=messaging.channels.channel.channel_choices, max_length=10, verbose_name='channel')),
                ('description', models.CharField(blank=True, max_length=300, verbose_name='description')),
                ('category', models.CharField(blank=True, default='', help_text='Default category for messages that specify none, for delivery rules: marketing, code …', max_length=40, validators=[django.core.validators.RegexValidator('^[a-z0-9_.-]*\\Z')], verbose_name='category')),
                ('is_archived', models.BooleanField(default=False, help_text='Not accepted for new messages. Messages in progress are still sent.', verbose_name='archived')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='changed')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'template',
                'verbose_name_plural': 'templates',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='TemplateVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(verbose_name='version')),
                ('state', models.CharField(choices=[('draft', 'Draft'), ('published', 'Published'), ('retired', 'Retired')], default='draft', max_length=10, verbose_name='state')),
                ('subject', models.CharField(blank=True, max_length=998, verbose_name='subject')),
                ('body', models.TextField(blank=True, help_text='Liquid, for example: Your code is {{ code }}.', verbose_name='text')),
                ('html', models.TextField(blank=True, help_text='E-mail only. Sanitised. If the text is empty, it is generated from the HTML.', verbose_name='HTML')),
                ('variables', models.JSONField(blank=True, default=list, help_text='A list of {"name", "required", "example"}; a message that lacks a required variable is refused.', verbose_name='variables')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('created_by', models.CharField(blank=True, max_length=150, verbose_name='author')),
                ('published_at', models.DateTimeField(blank=True, null=True, verbose_name='published')),
                ('template', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='messaging.template', verbose_name='template')),
            ],
            options={
                'verbose_name': 'template version',
                'verbose_name_plural': 'template versions',
                'ordering': ['template', '-number'],
            },
        ),
        migrations.AddField(
            model_name='message',
            name='template_version',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.templateversion', verbose_name='template version'),
        ),
        migrations.AddField(
            model_name='batch',
            name='template_version',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.templateversion', verbose_name='template version'),
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=128)),
                ('is_sandbox', models.BooleanField(default=False, help_text='The kind of the API key: neither kind answers for the other.')),
                ('digest', models.BinaryField(help_text='SHA-256 of method, path and body.', max_length=32)),
                ('target', models.UUIDField(help_text='Message or batch that the first request made.')),
                ('answer', models.JSONField(help_text="The first answer, where the target's id alone does not give it.", null=True)),
                ('created_at', models.DateTimeField(db_index=True)),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.tenant')),
            ],
            options={
                'verbose_name': 'idempotency key',
                'verbose_name_plural': 'idempotency keys',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'key', 'is_sandbox'), name='idempotency_key_once_a_kind')],
            },
        ),
        migrations.AddConstraint(
            model_name='provider',
            constraint=models.UniqueConstraint(fields=('tenant', 'name'), name='provider_name_once_a_tenant'),
        ),
        migrations.AddIndex(
            model_name='suppression',
            index=models.Index(fields=['tenant', '-id'], name='suppression_tenant'),
        ),
        migrations.AddConstraint(
            model_name='suppression',
            constraint=models.UniqueConstraint(fields=('tenant', 'recipient', 'channel', 'category'), name='suppression_once'),
        ),
        migrations.AddConstraint(
            model_name='template',
            constraint=models.UniqueConstraint(fields=('tenant', 'name'), name='template_name_once_a_tenant'),
        ),
        migrations.AddConstraint(
            model_name='templateversion',
            constraint=models.UniqueConstraint(fields=('template', 'number'), name='template_version_number'),
        ),
        migrations.AddConstraint(
            model_name='templateversion',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'draft')), fields=('template',), name='template_one_draft'),
        ),
        migrations.AddConstraint(
            model_name='templateversion',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'published')), fields=('template',), name='template_one_published'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['tenant', '-id'], name='message_tenant'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('batch__isnull', False)), fields=['batch', 'status'], name='message_batch'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('due_at__isnull', False), ('status', 'pending')), fields=['tenant', 'batch', '-priority', 'due_at'], name='message_pending'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('queued_at__isnull', False), ('status', 'queued')), fields=['queued_at'], name='message_queued'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('status', 'sending')), fields=['lease_until'], name='message_sending'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('status__in', ['failed', 'unknown'])), fields=['tenant', '-id'], name='message_dead'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('status__in', ('suppressed', 'cancelled', 'expired'))), fields=['tenant', '-id'], name='message_stopped'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('provider_message_id', ''), _negated=True), fields=['provider', 'provider_message_id'], name='message_receipt'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('reference', ''), _negated=True), fields=['tenant', 'reference'], name='message_reference'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['tenant', 'recipient'], name='message_recipient'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.CheckConstraint(condition=models.Q(('priority__gte', 0), ('priority__lte', 10)), name='message_priority_0_to_10'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(fields=['tenant', '-id'], name='batch_tenant'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(condition=models.Q(('status', 'finished'), _negated=True), fields=['tenant'], name='batch_open'),
        ),
        migrations.CreateModel(
            name='EventRecording',
            fields=[
                ('tenant', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='accounts.tenant', verbose_name='tenant')),
                ('read_at', models.DateTimeField(null=True)),
                ('missing_until', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='RecordedEvent',
            fields=[
                ('type', models.CharField(max_length=60, verbose_name='event')),
                ('subject_id', models.UUIDField(null=True, verbose_name='about')),
                ('channel', models.CharField(blank=True, max_length=10, verbose_name='channel')),
                ('is_sandbox', models.BooleanField(default=False, verbose_name='sandbox')),
                ('occurred_at', models.DateTimeField(verbose_name='happened at')),
                ('data', models.JSONField(default=dict, verbose_name='data')),
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('tenant', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.tenant', verbose_name='tenant')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', models.UUIDField(default=posthaste.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('url', models.CharField(max_length=2048, verbose_name='URL')),
                ('event_types', models.JSONField(default=messaging.models.webhook.all_event_types, help_text='Names, such as message.failed, or beginnings, such as message.*; * means all.', verbose_name='events')),
                ('channels', models.JSONField(blank=True, default=list, help_text='Only events of these channels. Empty: events of all channels and of none.', verbose_name='channels')),
                ('secret', posthaste.lib.crypto.EncryptedJSONField(default=messaging.models.provider.new_receipt_secret, editable=False, verbose_name='secret')),
                ('previous_secret', posthaste.lib.crypto.EncryptedJSONField(default=str, editable=False, verbose_name='previous secret')),
                ('previous_secret_until', models.DateTimeField(editable=False, null=True, verbose_name='previous secret valid until')),
                ('max_events', models.PositiveSmallIntegerField(default=100, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1000)], verbose_name='events per request')),
                ('includes_sandbox', models.BooleanField(default=False, help_text='Also events of messages that were accepted with a sandbox key.', verbose_name='include sandbox events')),
                ('is_enabled', models.BooleanField(default=True, verbose_name='enabled')),
                ('disabled_at', models.DateTimeField(editable=False, null=True, verbose_name='disabled at')),
                ('disabled_code', models.CharField(blank=True, choices=[('manual', 'A person or an API key disabled it.'), ('gone', 'The receiver answered 410 Gone.'), ('failing', 'It failed for {hours} hours without a break. The last error: {error}.')], editable=False, max_length=10, verbose_name='why it is disabled')),
                ('disabled_figures', models.JSONField(default=dict, editable=False)),
                ('cursor', models.BigIntegerField(default=0, editable=False)),
                ('next_attempt_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='next attempt')),
                ('failing_since', models.DateTimeField(editable=False, null=True, verbose_name='failing since')),
                ('failures', models.PositiveIntegerField(default=0, editable=False, verbose_name='failures in a row')),
                ('inflight_id', models.CharField(blank=True, editable=False, max_length=40)),
                ('inflight_until', models.BigIntegerField(editable=False, null=True)),
                ('inflight_since', models.DateTimeField(editable=False, null=True)),
                ('inflight_positions', models.TextField(blank=True, editable=False)),
                ('max_body_bytes', models.PositiveIntegerField(editable=False, null=True)),
                ('max_body_until', models.DateTimeField(editable=False, null=True)),
                ('attempts', models.PositiveIntegerField(default=0, editable=False, verbose_name='attempts')),
                ('attempted_at', models.DateTimeField(editable=False, null=True)),
                ('is_calling', models.BooleanField(default=False, editable=False)),
                ('lease_token', models.UUIDField(editable=False, null=True)),
                ('lease_until', models.DateTimeField(editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='changed')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'webhook endpoint',
                'verbose_name_plural': 'webhook endpoints',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.UUIDField(default=posthaste.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('events', 'Events'), ('replay', 'Replay'), ('test', 'Test')], default='events', max_length=10, verbose_name='kind')),
                ('webhook_id', models.CharField(max_length=40, verbose_name='webhook-id')),
                ('from_position', models.BigIntegerField(default=0, verbose_name='from position')),
                ('until_position', models.BigIntegerField(default=0, verbose_name='until position')),
                ('events', models.PositiveSmallIntegerField(default=0, verbose_name='events')),
                ('positions', models.TextField(blank=True, editable=False)),
                ('attempt', models.PositiveIntegerField(default=1, verbose_name='attempt')),
                ('status', models.CharField(choices=[('delivered', 'Delivered'), ('failed', 'Failed'), ('unknown', 'Unknown'), ('given_up', 'Given up')], max_length=10, verbose_name='status')),
                ('http_status', models.PositiveSmallIntegerField(null=True, verbose_name='HTTP status')),
                ('duration_ms', models.PositiveIntegerField(null=True, verbose_name='duration (ms)')),
                ('error', models.CharField(blank=True, max_length=60, verbose_name='error')),
                ('detail', models.CharField(blank=True, max_length=500, verbose_name='what happened')),
                ('at', models.DateTimeField(verbose_name='called at')),
                ('replayed_from', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='messaging.webhookdelivery', verbose_name='replay of')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.tenant', verbose_name='tenant')),
                ('endpoint', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='messaging.webhookendpoint', verbose_name='endpoint')),
            ],
            options={
                'verbose_name': 'webhook delivery',
                'verbose_name_plural': 'webhook deliveries',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('type', models.CharField(max_length=60, verbose_name='event')),
                ('subject_id', models.UUIDField(null=True, verbose_name='about')),
                ('channel', models.CharField(blank=True, max_length=10, verbose_name='channel')),
                ('is_sandbox', models.BooleanField(default=False, verbose_name='sandbox')),
                ('occurred_at', models.DateTimeField(verbose_name='happened at')),
                ('data', models.JSONField(default=dict, verbose_name='data')),
                ('position', models.BigAutoField(primary_key=True, serialize=False)),
                ('tenant', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'event',
                'verbose_name_plural': 'events',
                'ordering': ['position'],
                'indexes': [models.Index(fields=['tenant', 'position'], name='event_tenant')],
            },
        ),
        migrations.AddConstraint(
            model_name='webhookendpoint',
            constraint=models.UniqueConstraint(fields=('tenant', 'name'), name='webhook_name_once_a_tenant'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(fields=['endpoint', '-id'], name='delivery_endpoint'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(fields=['at'], name='delivery_age'),
        ),
    ]
