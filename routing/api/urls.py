"""The addresses of the service desk in the API."""

from routing.api.assignment.urls import urlpatterns as assignment
from routing.api.conversations.urls import urlpatterns as conversations
from routing.api.customers.urls import urlpatterns as customers
from routing.api.desk.urls import urlpatterns as desk
from routing.api.entrances.urls import urlpatterns as entrances
from routing.api.intents.urls import urlpatterns as intents
from routing.api.links.urls import urlpatterns as links

urlpatterns = [*assignment, *conversations, *customers, *desk, *entrances, *intents, *links]
