"""``python -m scripts.vendor_simulators VENDOR [--port N]``: one vendor, keyed by its own variables."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from scripts.persona_simulator.lifeline import tie_to_parent
from scripts.serving import HOST, free_port, serve
from scripts.vendor_simulators.base import Simulator
from scripts.vendor_simulators.idenfy import Idenfy
from scripts.vendor_simulators.onfido import Onfido
from scripts.vendor_simulators.sumsub import Sumsub
from scripts.vendor_simulators.veriff import Veriff

VENDORS: dict[str, type[Simulator]] = {one.name: one for one in (Idenfy, Onfido, Sumsub, Veriff)}


def main() -> int:
    parent = tie_to_parent()
    parser = argparse.ArgumentParser("vendor_simulators", description="A local KYC provider.")
    parser.add_argument("vendor", choices=sorted(VENDORS))
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    try:
        port = free_port(given.port)
    except OSError as error:
        print(f"cannot listen on {HOST}:{given.port}: {error.strerror}", file=sys.stderr)
        return 2
    asyncio.run(serve(VENDORS[given.vendor](os.environ, f"http://{HOST}:{port}"), port, parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
