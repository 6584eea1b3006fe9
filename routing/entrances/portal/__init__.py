"""The portal chat: visitors of a site write without an account. See docs/portal-chat.md."""
