"""How the bundled model is made and measured. Not part of the wheel; needs the `transformer` extra."""
