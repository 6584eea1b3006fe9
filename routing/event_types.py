"""The types of events that the service desk tells to webhooks and streams: see `routing.events`."""
