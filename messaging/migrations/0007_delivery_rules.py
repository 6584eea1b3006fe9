"""Categories and time zones of messages, and the suppression list."""

import django.core.validators
import django.db.models.deletion
import posthaste.lib.ids
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("configcenter", "0004_hot_configuration"),
        ("messaging", "0005_unchecked_references"),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="category",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="What kind it is, for delivery rules: marketing, code …",
                max_length=40,
                verbose_name="category",
            ),
        ),
        migrations.AddField(
            model_name="message",
            name="time_zone",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The recipient's own; empty: from the phone number.",
                max_length=64,
                verbose_name="time zone",
            ),
        ),
        migrations.AddField(
            model_name="template",
            name="category",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Of messages that name none, for delivery rules: marketing, code …",
                max_length=40,
                validators=[django.core.validators.RegexValidator("^[a-z0-9_.-]*\\Z")],
                verbose_name="category",
            ),
        ),
        migrations.CreateModel(
            name="Suppression",
            fields=[
                ("id", models.UUIDField(default=posthaste.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ("recipient", models.CharField(max_length=2048, verbose_name="recipient")),
                (
                    "channel",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("sms", "SMS"),
                            ("email", "E-mail"),
                            ("push", "App push"),
                            ("wecom", "WeCom"),
                            ("webhook", "Webhook"),
                            ("chat", "Chat"),
                        ],
                        help_text="Empty: all.",
                        max_length=10,
                        verbose_name="channel",
                    ),
                ),
                (
                    "category",
                    models.CharField(
                        blank=True, help_text="Only messages of this category; empty: all.", max_length=40, verbose_name="category"
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("manual", "By hand"),
                            ("api", "Over the API"),
                            ("hard_bounce", "Hard bounce"),
                            ("unsubscribe", "Unsubscribed"),
                            ("complaint", "Complaint"),
                        ],
                        default="manual",
                        max_length=12,
                        verbose_name="reason",
                    ),
                ),
                (
                    "message_id",
                    models.UUIDField(blank=True, editable=False, help_text="What caused it.", null=True, verbose_name="message"),
                ),
                ("created_by", models.CharField(blank=True, editable=False, max_length=150, verbose_name="by")),
                ("created_at", models.DateTimeField(verbose_name="created")),
                ("expires_at", models.DateTimeField(blank=True, help_text="In UTC. Empty: never.", null=True, verbose_name="expires")),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="configcenter.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "suppression",
                "verbose_name_plural": "suppression list",
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["tenant", "-id"], name="suppression_tenant")],
                "constraints": [models.UniqueConstraint(fields=("tenant", "recipient", "channel", "category"), name="suppression_once")],
            },
        ),
    ]
