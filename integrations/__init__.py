"""Other services, spoken to over HTTP. Open to the workers and the API, never to the schema or the domain."""
