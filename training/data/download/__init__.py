"""Pictures by their addresses, many at once: polite to every host, closed to private networks, and never lost twice."""
