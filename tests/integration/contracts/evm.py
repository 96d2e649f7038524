"""Any contract by its compiled ABI, on a local chain: deploy it, send to it, ask it.

The product names the few functions that it calls; tests and benchmarks also speak to other people's contracts, whose
ABI and bytecode come from their npm packages.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from eth_abi.abi import decode, encode
from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types, get_abi_output_types
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from issuer.chain import contracts
from issuer.chain.deploy import created_address
from issuer.chain.eip1559 import UnsignedTransaction, signed_bytes, signing_message, transaction_hash
from issuer.chain.gateway import Call, Gateway, Receipt
from issuer.chain.signer import LocalSigner, checked_sign
from issuer.secrets import Secret
from scripts.anvil import CHAIN_ID
from scripts.stack import rpc

ROOT = Path(__file__).resolve().parents[3]
GAS_LIMIT = contracts.MAX_TRANSACTION_GAS
INTRINSIC_GAS = 21_000
_GWEI = 10**9
_names = itertools.count(1)


class Reverted(Exception):
    """A transaction was mined and reverted. The text is the node's, with the contract's reason."""


class Compiled(msgspec.Struct, frozen=True):
    """A contract that is ready to be deployed."""

    abi: tuple[dict[str, Any], ...]
    bytecode: bytes


def ours(name: str) -> Compiled:
    artifact = contracts.artifact(name)
    return Compiled(artifact.abi, artifact.bytecode)


def npm(path: str) -> Compiled:
    """`path`: of a Hardhat artifact in node_modules, without `.json`. Its last part names the contract."""
    document = json.loads((ROOT / "node_modules" / f"{path}.json").read_text(encoding="utf-8"))
    return Compiled(tuple(document["abi"]), bytes.fromhex(document["bytecode"].removeprefix("0x")))


class Contract(msgspec.Struct, frozen=True):
    """One that is deployed, or is taken to be."""

    address: str
    abi: tuple[dict[str, Any], ...]

    def knows(self, name: str) -> bool:
        return any(each["type"] == "function" and each["name"] == name for each in self.abi)

    def function(self, name: str, arguments: int) -> dict[str, Any]:
        """By name and number of arguments. Raises `LookupError` unless it is the only one."""
        found = [
            each
            for each in self.abi
            if each["type"] == "function" and each["name"] == name and len(each["inputs"]) == arguments
        ]
        if len(found) != 1:
            raise LookupError(f"{len(found)} functions are called {name} and take {arguments} arguments")
        return found[0]

    def calldata(self, name: str, *values: object) -> bytes:
        function = self.function(name, len(values))
        return bytes(function_abi_to_4byte_selector(function)) + encode(get_abi_input_types(function), values)


class Evm:
    """One chain. Every transaction is signed here and waited for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.gateway = Gateway(Secret(url))

    def rpc(self, method: str, *params: object) -> object:
        return rpc(self.url, method, *params)

    def person(self, name: str = "person") -> LocalSigner:
        """Somebody new, with 1,000 ether."""
        signer = LocalSigner(keccak(text=f"{name} {next(_names)}"))
        self.fund(signer.address)
        return signer

    def fund(self, address: str) -> None:
        self.rpc("anvil_setBalance", address, hex(10**21))

    async def deploy(self, compiled: Compiled, *arguments: object, sender: LocalSigner) -> Contract:
        constructor = next((each for each in compiled.abi if each["type"] == "constructor"), {"inputs": []})
        nonce = await self.gateway.nonce(sender.address)
        types = [each["type"] for each in constructor["inputs"]]
        await self._send(sender, None, compiled.bytecode + encode(types, arguments), nonce)
        return Contract(created_address(sender.address, nonce), compiled.abi)

    async def send(self, contract: Contract, name: str, *values: object, sender: LocalSigner) -> Receipt:
        """Raises `Reverted`."""
        return await self.send_bytes(contract.address, contract.calldata(name, *values), sender=sender)

    async def send_bytes(self, to: str, data: bytes, *, sender: LocalSigner) -> Receipt:
        return await self._send(sender, to, data, await self.gateway.nonce(sender.address))

    async def ask(self, contract: Contract, name: str, *values: object) -> Any:
        """One value, or a tuple of them. Addresses are EIP-55. Raises `Reverted`."""
        outputs = get_abi_output_types(contract.function(name, len(values)))
        (answer,) = await self.gateway.call([Call(to=contract.address, data=contract.calldata(name, *values))])
        if answer is None:
            raise Reverted(f"{name} reverted")
        found = tuple(_tidy(kind, value) for kind, value in zip(outputs, decode(outputs, answer), strict=True))
        return found[0] if len(found) == 1 else found

    async def execution_gas(self, contract: Contract, name: str, *values: object, sender: LocalSigner) -> int:
        """Gas of a view: of the same call sent as a transaction, without what any transaction pays."""
        data = contract.calldata(name, *values)
        receipt = await self.send_bytes(contract.address, data, sender=sender)
        return receipt.gas_used - INTRINSIC_GAS - calldata_gas(data)

    async def _send(self, sender: LocalSigner, to: str | None, data: bytes, nonce: int) -> Receipt:
        unsigned = UnsignedTransaction(
            chain_id=CHAIN_ID, nonce=nonce, tip=_GWEI, max_fee=100 * _GWEI, gas_limit=GAS_LIMIT, to=to, data=data
        )
        signature = await checked_sign(sender, signing_message(unsigned))
        raw = signed_bytes(unsigned, r=signature.r, s=signature.s, y_parity=signature.y_parity)
        (outcome,) = await self.gateway.send([raw])
        assert outcome.held_by_node, outcome
        receipt = await self._mined(transaction_hash(raw))
        if not receipt.succeeded:
            raise Reverted(self._reason(sender, to, data))
        return receipt

    async def _mined(self, tx_hash: str) -> Receipt:
        async with asyncio.timeout(10):
            while (found := (await self.gateway.receipts([tx_hash]))[0]) is None:  # noqa: ASYNC110 - the chain is another process
                await asyncio.sleep(0.002)
            return found

    def _reason(self, sender: LocalSigner, to: str | None, data: bytes) -> str:
        call = {"from": sender.address, "data": "0x" + data.hex(), "gas": hex(GAS_LIMIT)}
        try:
            self.rpc("eth_call", call if to is None else {**call, "to": to}, "latest")
        except RuntimeError as error:
            return str(error)
        return "no reason: the same call succeeds now"


@asynccontextmanager
async def on(url: str) -> AsyncIterator[Evm]:
    evm = Evm(url)
    try:
        yield evm
    finally:
        await evm.gateway.aclose()


def calldata_gas(data: bytes) -> int:
    """16 for a byte, 4 for a zero one; EIP-7623's floor is below the execution of whatever is measured here."""
    zeros = data.count(0)
    return 16 * (len(data) - zeros) + 4 * zeros


def _tidy(kind: str, value: Any) -> Any:
    if kind == "address":
        return to_checksum_address(value)
    return [to_checksum_address(each) for each in value] if kind == "address[]" else value
