"""What the house shows to those who watch it, on a port of its own: metrics and the detail behind readiness."""

# Names the directory into whose files the workers of one API count; `prometheus_client` knows it by this name.
SHARED_FIGURES = "PROMETHEUS_MULTIPROC_DIR"
