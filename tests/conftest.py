"""What holds for all tests: none fails because the machine was busy with others."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
