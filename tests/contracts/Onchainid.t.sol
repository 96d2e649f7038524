// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {OnchainidSetup} from "./OnchainidSetup.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

/// @dev Each side's claims on the other's identities. That both do the same is what invariants/Onchainid*.t.sol say.
contract OnchainidTest is BaseTest, OnchainidSetup {
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
        bytes memory signature = full(claimantKey, legacyDigest(address(ours), TOPIC, ""));
        vm.prank(holder);
        ours.addClaim(TOPIC, 1, address(theirIssuer), signature, "", "");
        assertFalse(registry.isVerified(holder, TOPIC));
        vm.prank(owner);
        registry.addTrustedIssuer(address(theirIssuer), topics(TOPIC));
        assertTrue(registry.isVerified(holder, TOPIC));
        vm.prank(manager);
        theirIssuer.revokeClaim(idOf(address(theirIssuer), TOPIC), address(ours));
        assertFalse(registry.isVerified(holder, TOPIC));
    }
}
