"""The shared library: pictures, models, index and contracts. It reads no environment and knows no HTTP server."""
