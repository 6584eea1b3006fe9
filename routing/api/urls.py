"""The addresses of the service desk in the API."""

from routing.api.assignment.urls import urlpatterns as assignment
from routing.api.conversations.urls import urlpatterns as conversations
from routing.api.customers.urls import urlpatterns as customers
from routing.api.desk.urls import urlpatterns as desk
from routing.api.entrances.urls import urlpatterns as entrances
from routing.api.faq.urls import urlpatterns as faq
from routing.api.intents.urls import urlpatterns as intents
from routing.api.links.urls import urlpatterns as links
from routing.api.satisfaction.urls import urlpatterns as satisfaction
from routing.api.service_levels.urls import urlpatterns as service_levels
from routing.api.tickets.urls import urlpatterns as tickets

urlpatterns = [
    *assignment,
    *conversations,
    *customers,
    *desk,
    *entrances,
    *faq,
    *intents,
    *links,
    *satisfaction,
    *service_levels,
    *tickets,
]
