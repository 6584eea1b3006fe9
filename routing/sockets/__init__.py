"""WebSockets of the service desk: visitors of the portal chat."""
