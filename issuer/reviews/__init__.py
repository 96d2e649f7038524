"""People who rule on cases: proposed and seconded by signature, applied by the daemon alone."""
