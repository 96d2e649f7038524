"""``python -m scripts.persona_simulator [--port N] [--webhook-url URL] ...``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from dataclasses import replace

from scripts.persona_simulator.app import create_app
from scripts.persona_simulator.lifeline import tie_to_parent
from scripts.persona_simulator.settings import Refused, read_settings
from scripts.serving import HOST, free_port, serve

OPTIONS = {
    "--webhook-url": "PERSONA_SIM_WEBHOOK_URL",
    "--webhook-events": "PERSONA_SIM_WEBHOOK_EVENTS",
    "--template-id": "PERSONA_SIM_TEMPLATE_ID",
    "--environment-id": "PERSONA_SIM_ENVIRONMENT_ID",
    "--organization-id": "PERSONA_SIM_ORGANIZATION_ID",
    "--redirect-hosts": "PERSONA_SIM_REDIRECT_HOSTS",
    "--api-blocklist": "PERSONA_SIM_API_BLOCKLIST",
    "--delivery-timeout": "PERSONA_SIM_DELIVERY_TIMEOUT",
    "--api-key": "PERSONA_SIM_API_KEY",
    "--webhook-secret": "PERSONA_SIM_WEBHOOK_SECRET",
}


def read_arguments(arguments: list[str]) -> tuple[int, dict[str, str]]:
    """Return the port (0 for any free one) and what overrides the environment."""
    parser = argparse.ArgumentParser("persona_simulator", description="A local Persona.")
    parser.add_argument("--port", type=int, default=0)
    for option, variable in OPTIONS.items():
        parser.add_argument(option, dest=variable, help=f"instead of {variable}")
    given = vars(parser.parse_args(arguments))
    port = given.pop("port")
    return port, {name: value for name, value in given.items() if value is not None}


def main() -> int:
    parent = tie_to_parent()
    port, overrides = read_arguments(sys.argv[1:])
    try:
        settings = read_settings(os.environ | overrides)
    except Refused as reason:
        print(reason, file=sys.stderr)
        return 2
    try:
        port = free_port(port)
    except OSError as error:
        print(f"cannot listen on {HOST}:{port}: {error.strerror}", file=sys.stderr)
        return 2
    app = create_app(replace(settings, base_url=f"http://{HOST}:{port}"))
    asyncio.run(serve(app, port, parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
