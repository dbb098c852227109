"""Property tests of this folder run on busy machines: no deadline for one example."""

from hypothesis import settings

settings.register_profile("busy", deadline=None)
settings.load_profile("busy")
