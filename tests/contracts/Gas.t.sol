// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

/// @dev What each act costs as a transaction of its own, calldata and refunds included, and the ceiling that it must stay under. The numbers stand in
/// snapshots/, so that a change shows in its diff.
/// forge-config: default.isolate = true
contract GasTest is BaseTest {
    uint256 internal constant BATCH = 20;

    function spent(string memory name, uint256 items, uint256 ceiling) internal {
        uint256 each = (uint256(vm.lastCallGas().gasTotalUsed) - uint256(uint64(vm.lastCallGas().gasRefunded))) / items;
        vm.snapshotValue("gas", name, each);
        assertLe(each, ceiling, name);
    }

    function wallets(uint256 first) internal pure returns (address[] memory list) {
        list = new address[](BATCH);
        for (uint256 i = 0; i < BATCH; ++i) {
            list[i] = address(uint160(uint256(keccak256(abi.encode("wallet", first + i)))));
        }
    }

    function test_Create() public {
        vm.prank(holder);
        factory.createFor(holder, address(issuer));
        spent("createFor", 1, 108_000);
    }

    function test_Keys() public {
        IIdentity identity = newIdentity();
        vm.startPrank(holder);
        identity.addKey(keyOf(signer), ACTION, ECDSA);
        spent("addKey, first", 1, 98_000);
        identity.addKey(keyOf(stranger), ACTION, ECDSA);
        spent("addKey, next", 1, 81_000);
        identity.addKey(keyOf(stranger), CLAIM, ECDSA);
        spent("addKey, second purpose", 1, 39_000);
        identity.execute(stranger, 0, "");
        spent("execute, at once", 1, 65_000);
    }

    function test_Claims() public {
        // Without an adder, as on any identity: the dearer case.
        vm.prank(holder);
        IIdentity identity = IIdentity(factory.createFor(holder, address(0)));
        IClaimIssuer.ClaimInput memory claim = claimFor(address(identity));
        addAsHolder(identity, claim);
        spent("addClaim, 32 bytes", 1, 163_000);
        vm.warp(NOW + 1);
        addAsHolder(identity, claimFor(address(identity)));
        spent("addClaim again, 32 bytes", 1, 71_000);
        vm.prank(holder);
        identity.removeClaim(idOf(address(issuer), TOPIC));
        spent("removeClaim, 32 bytes", 1, 60_000);

        claim.data = bytes.concat(keccak256("a"), keccak256("b"), keccak256("c"), "four");
        claim.signature = signLegacy(address(identity), TOPIC, claim.data);
        claim.uri = "https://claims.example.org/some/place/where/the/content/is/1";
        addAsHolder(identity, claim);
        spent("addClaim, 100 bytes and uri of 60", 1, 190_000);
    }

    function test_ClaimOfTheAdder() public {
        IIdentity identity = newIdentity();
        addAsHolder(identity, claimFor(address(identity)));
        spent("addClaim, 32 bytes, the adder's", 1, 150_000);
    }

    function test_IsClaimValid() public {
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(holder, TOPIC, word);
        bytes memory data = abi.encodePacked(word);
        issuer.isClaimValid(holder, TOPIC, signature, data);
        uint256 execution = vm.lastCallGas().gasTotalUsed; // a view is no transaction
        vm.snapshotValue("gas", "isClaimValid, execution", execution);
        assertLe(execution, 11_000);
    }

    function test_Onboarding() public {
        IClaimIssuer.Onboarding[] memory items = new IClaimIssuer.Onboarding[](1);
        items[0] = itemFor(holder);
        vm.prank(operator);
        issuer.onboard(items);
        spent("onboard, one", 1, 272_000);
        items = new IClaimIssuer.Onboarding[](BATCH);
        address[] memory list = wallets(0);
        for (uint256 i = 0; i < BATCH; ++i) {
            items[i] = itemFor(list[i]);
        }
        vm.prank(operator);
        issuer.onboard(items);
        spent("onboard, each of 20", BATCH, 226_000);

        IClaimIssuer.Revocation[] memory revocations = new IClaimIssuer.Revocation[](BATCH);
        for (uint256 i = 0; i < BATCH; ++i) {
            revocations[i] = IClaimIssuer.Revocation(factory.getIdentity(list[i]), TOPIC, 0);
        }
        vm.prank(operator);
        issuer.revokeBatch(revocations);
        spent("revokeBatch, each of 20", BATCH, 29_000);
    }

    function test_AddClaimsTo() public {
        IClaimIssuer.Addition[] memory items = new IClaimIssuer.Addition[](BATCH);
        address[] memory list = wallets(0);
        for (uint256 i = 0; i < BATCH; ++i) {
            vm.prank(list[i]);
            address identity = factory.createFor(list[i], address(issuer));
            items[i] = IClaimIssuer.Addition(identity, claimFor(identity));
        }
        vm.prank(operator);
        issuer.addClaimsTo(items);
        spent("addClaimsTo, each of 20", BATCH, 139_000);
    }
}
