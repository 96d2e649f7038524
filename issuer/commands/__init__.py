"""One file per group of commands. Each is imported only when its command runs, so that `--help` stays instant."""
