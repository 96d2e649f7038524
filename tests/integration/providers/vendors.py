"""A real vendor simulator in a process of its own, our adapter in front of it, and a receiver for its webhooks."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from issuer.providers import registry
from issuer.providers.protocol import Provider, WebhookDoor
from issuer.settings import ApiSettings, load
from scripts.ground import ROOT
from scripts.vendor_simulators.launch import environment

SUBJECT = "sub_0192f0c47c1e7a6e9d0b1f2e3d4c5b6a"
CANARIES = (b"Testa", b"Exempelsson")


class Vendor:
    """`door` and `provider` are made from settings, as the two processes make them."""

    def __init__(self, name: str, url: str, env: dict[str, str]) -> None:
        self.name = name
        self.env = {**env, "CLAIMWRIGHT_PROVIDERS": name, "CLAIMWRIGHT_CHAIN_ID": "31337", "CLAIMWRIGHT_ENV": "test"}
        self.settings = load(ApiSettings, self.env)
        (self.key,) = registry.providers(self.settings)
        self.http = httpx.Client(base_url=url, headers={"X-Simulator-Key": env[KEYS[name]]}, trust_env=False)

    @property
    def template(self) -> str:
        return self.settings.providers[0].template

    def door(self, **changed: str) -> WebhookDoor:
        (door,) = registry.doors(load(ApiSettings, self.env | changed)).values()
        return door

    def provider(self, **changed: str) -> Provider:
        (provider,) = registry.providers(load(ApiSettings, self.env | changed)).values()
        return provider

    def act(self, check_ref: str, act: str) -> None:
        self.control(f"/_sim/checks/{check_ref}", {"act": act})

    def control(self, path: str, body: dict[str, Any]) -> None:
        answer = self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text

    async def delivered(self, check_ref: str, count: int) -> list[tuple[dict[str, str], bytes]]:
        """Headers and raw bytes of the first `count` webhooks about a check, once they were sent."""
        async with asyncio.timeout(10):
            while True:
                sent = self.http.get("/_sim/deliveries").json()["deliveries"]
                mine = [(one["headers"], one["body"].encode()) for one in sent if one["check"] == check_ref]
                if len(mine) >= count:
                    return mine[:count]
                await asyncio.sleep(0.02)


KEYS = {
    "idenfy": "IDENFY_API_KEY",
    "onfido": "ONFIDO_API_TOKEN",
    "sumsub": "SUMSUB_APP_TOKEN",
    "veriff": "VERIFF_API_KEY",
}


@contextmanager
def running(name: str) -> Iterator[Vendor]:
    """Webhooks go to a port where nobody listens: the simulator keeps what it sent, which is what tests look at."""
    env = environment(name, "http://127.0.0.1:1") | {"SIMULATOR_WEBHOOK_URL": "http://127.0.0.1:9/"}
    argv = [sys.executable, "-m", "scripts.vendor_simulators", name]
    with subprocess.Popen(argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = json.loads(process.stdout.readline())["url"]
            vendor = Vendor(name, url, {**env, f"{name.upper()}_API_BASE_URL": url})
            yield vendor
            vendor.http.close()
        finally:
            process.terminate()
