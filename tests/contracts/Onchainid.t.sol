// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

/// @dev Against the bytecode that ONCHAINID 2.2.1 ships: the same operations, the same answers; and each side's claims on the other's identities.
contract OnchainidTest is BaseTest {
    IIdentity internal ours;
    IIdentity internal theirs;
    IClaimIssuer internal theirIssuer;
    address internal claimant;
    uint256 internal claimantKey;

    function setUp() public override {
        super.setUp();
        (claimant, claimantKey) = makeAddrAndKey("claimant");
        ours = newIdentity();
        theirs = IIdentity(deployTheirs("Identity", abi.encode(holder, false)));
        theirIssuer = IClaimIssuer(deployTheirs("ClaimIssuer", abi.encode(manager)));
        vm.prank(manager);
        theirIssuer.addKey(keyOf(claimant), CLAIM, ECDSA);
    }

    function deployTheirs(string memory name, bytes memory args) private returns (address deployed) {
        string memory path =
            string.concat("node_modules/@onchain-id/solidity/artifacts/contracts/", name, ".sol/", name, ".json");
        bytes memory code = abi.encodePacked(vm.parseJsonBytes(vm.readFile(path), ".bytecode"), args);
        assembly {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        assertNotEq(deployed, address(0));
    }

    /// @dev Each move goes to both; where one refuses the other must too. Left out is what we do differently on purpose: the last manager.
    function testFuzz_KeysAgree(uint256 moves) public {
        bytes32[4] memory keys = [keyOf(holder), keyOf(claimant), keyOf(stranger), keyOf(operator)];
        for (uint256 i = 0; i < 24; ++i) {
            bytes32 key = keys[(moves >> (6 * i)) % 4];
            uint256 purpose = 1 + ((moves >> (6 * i + 2)) % 4);
            bool adding = (moves >> (6 * i + 4)) % 4 != 0;
            if (!adding && key == keyOf(holder) && purpose == MANAGEMENT) continue;
            bytes memory data = adding
                ? abi.encodeCall(ours.addKey, (key, purpose, ECDSA))
                : abi.encodeCall(ours.removeKey, (key, purpose));
            vm.startPrank(holder);
            (bool one,) = address(ours).call(data);
            (bool other,) = address(theirs).call(data);
            vm.stopPrank();
            assertEq(one, other);
        }
        for (uint256 k = 0; k < 4; ++k) {
            (uint256[] memory a, uint256 typeA, bytes32 keyA) = ours.getKey(keys[k]);
            (uint256[] memory b, uint256 typeB, bytes32 keyB) = theirs.getKey(keys[k]);
            assertEq(bits(a), bits(b));
            assertEq(typeA, typeB);
            assertEq(keyA, keyB);
            assertEq(bits(ours.getKeyPurposes(keys[k])), bits(b));
        }
        for (uint256 purpose = 1; purpose <= 5; ++purpose) {
            assertEq(sum(ours.getKeysByPurpose(purpose)), sum(theirs.getKeysByPurpose(purpose)));
            for (uint256 k = 0; k < 4; ++k) {
                assertEq(ours.keyHasPurpose(keys[k], purpose), theirs.keyHasPurpose(keys[k], purpose));
            }
        }
    }

    function testFuzz_ClaimsAgree(uint256 moves, bytes calldata data, string calldata uri) public {
        vm.assume(data.length <= 2048 && bytes(uri).length <= 2048);
        for (uint256 i = 0; i < 10; ++i) {
            uint256 topic = 1 + (moves >> (3 * i)) % 3;
            bool adding = (moves >> (3 * i + 2)) % 2 == 0;
            assertEq(step(ours, topic, adding, data, uri), step(theirs, topic, adding, data, uri));
        }
        for (uint256 topic = 0; topic <= 3; ++topic) {
            bytes32 id = idOf(address(theirIssuer), topic);
            (uint256 t, uint256 scheme, address from,, bytes memory d, string memory u) = ours.getClaim(id);
            (uint256 t2, uint256 scheme2, address from2,, bytes memory d2, string memory u2) = theirs.getClaim(id);
            assertEq(abi.encode(t, scheme, from, d, u), abi.encode(t2, scheme2, from2, d2, u2));
            assertEq(abi.encode(ours.getClaimIdsByTopic(topic)), abi.encode(theirs.getClaimIdsByTopic(topic)));
        }
    }

    function step(IIdentity identity, uint256 topic, bool adding, bytes memory data, string memory uri)
        private
        returns (bool success)
    {
        bytes memory signature = full(claimantKey, legacyDigest(address(identity), topic, data));
        bytes memory call = adding
            ? abi.encodeCall(identity.addClaim, (topic, 1, address(theirIssuer), signature, data, uri))
            : abi.encodeCall(identity.removeClaim, (idOf(address(theirIssuer), topic)));
        vm.prank(holder);
        (success,) = address(identity).call(call);
    }

    function test_OurClaimOnTheirIdentity() public {
        vm.prank(holder);
        theirs.addKey(keyOf(address(issuer)), CLAIM, ECDSA);
        IClaimIssuer.Addition[] memory items = new IClaimIssuer.Addition[](1);
        items[0] = IClaimIssuer.Addition(address(theirs), claimFor(address(theirs)));
        vm.prank(operator);
        issuer.addClaimsTo(items);
        (uint256 topic,, address from, bytes memory signature, bytes memory data,) =
            theirs.getClaim(idOf(address(issuer), TOPIC));
        assertEq(topic, TOPIC);
        assertEq(from, address(issuer));
        assertTrue(issuer.isClaimValid(address(theirs), TOPIC, signature, data));
        vm.prank(manager);
        issuer.revokeClaim(idOf(address(issuer), TOPIC), address(theirs));
        assertFalse(issuer.isClaimValid(address(theirs), TOPIC, signature, data));
    }

    function test_TheirClaimOnOurIdentity() public {
        assertTrue(step(ours, TOPIC, true, "", ""));
        assertFalse(registry.isVerified(holder, TOPIC));
        vm.prank(owner);
        registry.addTrustedIssuer(address(theirIssuer), topics(TOPIC));
        assertTrue(registry.isVerified(holder, TOPIC));
        vm.prank(manager);
        theirIssuer.revokeClaim(idOf(address(theirIssuer), TOPIC), address(ours));
        assertFalse(registry.isVerified(holder, TOPIC));
    }

    function bits(uint256[] memory purposes) private pure returns (uint256 map) {
        for (uint256 i = 0; i < purposes.length; ++i) {
            map |= 1 << purposes[i];
        }
    }

    /// @dev Lists may differ in order only.
    function sum(bytes32[] memory keys) private pure returns (uint256 total) {
        for (uint256 i = 0; i < keys.length; ++i) {
            total += uint256(keys[i]) >> 8;
        }
    }
}
