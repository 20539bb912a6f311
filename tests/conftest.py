"""Settings every test shares."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Tests never assert a time: the first call of a kernel compiles it.
settings.register_profile("forestall", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("forestall")
