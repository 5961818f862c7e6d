"""The wire: server, connections, middleware, uploads, and errors as answers."""
