"""A small world to try Tocsin on: a local web server, texts, receivers; the rest of Tocsin does not know about it."""
