"""The doors: HTTP, websockets and webhooks."""
