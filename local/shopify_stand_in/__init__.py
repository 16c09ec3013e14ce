"""A Shopify of our own, for demo and tests: Admin API, OAuth, webhooks and a checkout that runs the built functions."""
