"""What all tests share. How long one example takes depends on what else this machine does: that is no finding."""

from hypothesis import settings

settings.register_profile("answerable", deadline=None)
settings.load_profile("answerable")
