"""A local stand-in for Persona's API, webhooks and user pages, faithful on the wire.

For development and tests only: it verifies nobody. See ``docs/persona-simulator.md``.
"""
