"""The API of baseline (a); also its URLs."""

import hmac
from typing import Any

from django.urls import path
from rest_framework import serializers, status
from rest_framework.generics import CreateAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from benchmarks.baselines.django_naive.celery import send_message
from benchmarks.baselines.django_naive.models import Message


class HasKey(BasePermission):
    """The caller knows the key."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return hmac.compare_digest(request.headers.get("Authorization", ""), "Bearer key")


class MessageSerializer(serializers.ModelSerializer):
    """One message in."""

    recipient = serializers.RegexField(r"^\+[1-9]\d{6,14}$")
    priority = serializers.IntegerField(min_value=0, max_value=10, default=5)

    class Meta:
        model = Message
        fields = ["id", "channel", "recipient", "subject", "body", "priority", "status"]
        read_only_fields = ["id", "status"]


class MessageCreate(CreateAPIView):
    """Answer POST /api/messages/."""

    serializer_class = MessageSerializer
    permission_classes = [HasKey]

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        message = Message.objects.create(**serializer.validated_data)
        if message.priority == 5:
            send_message.delay(str(message.pk))
        else:
            send_message.apply_async([str(message.pk)], priority=message.priority)
        return Response({"id": message.pk, "status": message.status}, status=status.HTTP_202_ACCEPTED)


urlpatterns = [path("api/messages/", MessageCreate.as_view())]
