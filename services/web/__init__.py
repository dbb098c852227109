"""What Tocsin answers over HTTP."""
