"""Settings, policy packs, regions and calendars. Imports no other package of ours."""
