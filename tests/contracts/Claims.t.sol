// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Bomb, Burner, Parrot} from "./Hostile.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IBatchExecutor} from "../../contracts/interfaces/IBatchExecutor.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

contract ClaimsTest is BaseTest {
    IIdentity internal identity;
    bytes32 internal id;

    function setUp() public override {
        super.setUp();
        identity = newIdentity();
        id = idOf(address(issuer), TOPIC);
    }

    /// @dev As the adder sends it, without the issuer's swallowing of failures.
    function addAsAdder() internal {
        IClaimIssuer.ClaimInput memory claim = claimFor(address(identity));
        vm.prank(address(issuer));
        identity.addClaim(TOPIC, 1, address(issuer), claim.signature, claim.data, claim.uri);
    }

    function test_AddChangeRemove() public {
        IClaimIssuer.ClaimInput memory claim = claimFor(address(identity));
        claim.uri = "https://example.org/claim";
        vm.expectEmit(address(identity));
        emit IERC735.ClaimAdded(id, TOPIC, 1, address(issuer), claim.signature, claim.data, claim.uri);
        addAsHolder(identity, claim);
        (uint256 topic, uint256 scheme, address from, bytes memory signature, bytes memory data, string memory uri) =
            identity.getClaim(id);
        assertEq(topic, TOPIC);
        assertEq(scheme, 1);
        assertEq(from, address(issuer));
        assertEq(signature, claim.signature);
        assertEq(data, claim.data);
        assertEq(uri, claim.uri);
        assertEq(identity.getClaimIdsByTopic(TOPIC).length, 1);
        assertEq(identity.getClaimIdsByTopic(TOPIC)[0], id);

        claim.uri = "";
        vm.expectEmit(address(identity));
        emit IERC735.ClaimChanged(id, TOPIC, 1, address(issuer), claim.signature, claim.data, "");
        addAsHolder(identity, claim);
        assertEq(identity.getClaimIdsByTopic(TOPIC).length, 1);

        vm.expectEmit(address(identity));
        emit IERC735.ClaimRemoved(id, TOPIC, 1, address(issuer), claim.signature, claim.data, "");
        vm.prank(holder);
        identity.removeClaim(id);
        (topic,, from, signature,,) = identity.getClaim(id);
        assertEq(topic + uint160(from) + signature.length, 0);
        assertEq(identity.getClaimIdsByTopic(TOPIC).length, 0);
    }

    function test_RevertWhen_TopicIsZero() public {
        vm.prank(holder);
        vm.expectRevert(IERC735.ZeroTopic.selector);
        identity.addClaim(0, 1, address(issuer), "", "", "");
    }

    function test_RevertWhen_IssuerIsZero() public {
        vm.prank(holder);
        vm.expectRevert(IIdentity.ZeroAddress.selector);
        identity.addClaim(TOPIC, 1, address(0), "", "", "");
    }

    function test_RevertWhen_AFieldIsTooLong() public {
        bytes memory long = new bytes(2049);
        vm.startPrank(holder);
        vm.expectRevert(abi.encodeWithSelector(IERC735.ClaimTooLong.selector, 2049));
        identity.addClaim(TOPIC, 1, address(issuer), long, "", "");
        vm.expectRevert(abi.encodeWithSelector(IERC735.ClaimTooLong.selector, 2049));
        identity.addClaim(TOPIC, 1, address(issuer), "", long, "");
        vm.expectRevert(abi.encodeWithSelector(IERC735.ClaimTooLong.selector, 2049));
        identity.addClaim(TOPIC, 1, address(issuer), "", "", string(long));
    }

    function testFuzz_RevertWhen_StrangerWrites(address sender) public {
        vm.assume(sender != holder && sender != address(issuer) && sender != address(identity));
        addAsAdder();
        IClaimIssuer.ClaimInput memory claim = claimFor(address(identity));
        vm.startPrank(sender);
        vm.expectRevert(IERC735.SenderDoesNotHaveClaimSignerKey.selector);
        identity.addClaim(TOPIC, 1, address(issuer), claim.signature, claim.data, "");
        vm.expectRevert(IERC735.SenderDoesNotHaveClaimSignerKey.selector);
        identity.removeClaim(id);
        vm.expectRevert(IERC735.SenderDoesNotHaveClaimSignerKey.selector);
        identity.allowClaim(id);
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        identity.setAdderMuted(true);
    }

    function test_RevertWhen_TheIssuerDoesNotVouch() public {
        Parrot yes = new Parrot();
        yes.teach(identity.isClaimValid.selector, abi.encode(uint256(2))); // not exactly true
        address[5] memory bad =
            [stranger, address(new Burner()), address(new Bomb(true)), address(yes), address(new Parrot())];
        for (uint256 i = 0; i < 5; ++i) {
            vm.prank(holder);
            vm.expectRevert(IERC735.InvalidClaim.selector);
            identity.addClaim{gas: 3_000_000}(TOPIC, 1, bad[i], "", "", "");
        }
        yes.teach(identity.isClaimValid.selector, abi.encode(true));
        vm.prank(holder);
        identity.addClaim(TOPIC, 1, address(yes), "", "", "");
    }

    function test_SelfIssuedClaimNeedsManagerOrSignature() public {
        (address claimant, uint256 key) = makeAddrAndKey("claimant");
        vm.prank(holder);
        identity.addKey(keyOf(claimant), CLAIM, ECDSA);
        bytes memory signature = full(key, legacyDigest(address(identity), TOPIC, "data"));
        vm.startPrank(claimant);
        vm.expectRevert(IERC735.InvalidClaim.selector);
        identity.addClaim(TOPIC, 1, address(identity), "garbage", "data", "");
        identity.addClaim(TOPIC, 1, address(identity), signature, "data", "");
        vm.stopPrank();
        vm.prank(holder);
        identity.addClaim(TOPIC + 1, 1, address(identity), "", "data", "");
        assertTrue(identity.isClaimValid(address(identity), TOPIC, signature, "data"));
        assertFalse(identity.isClaimValid(address(identity), TOPIC, signature, "date"));
    }

    function test_RemovedKeyInvalidatesWhatItSigned() public {
        (address claimant, uint256 key) = makeAddrAndKey("claimant");
        bytes memory signature = full(key, legacyDigest(address(identity), TOPIC, "data"));
        vm.startPrank(holder);
        identity.addKey(keyOf(claimant), CLAIM, ECDSA);
        assertTrue(identity.isClaimValid(address(identity), TOPIC, signature, "data"));
        identity.removeKey(keyOf(claimant), CLAIM);
        assertFalse(identity.isClaimValid(address(identity), TOPIC, signature, "data"));
    }

    function test_AdderWritesItsOwnClaimsOnly() public {
        addAsAdder();
        addAsAdder(); // a change
        Parrot other = new Parrot();
        other.teach(identity.isClaimValid.selector, abi.encode(true));
        vm.prank(holder);
        identity.addClaim(TOPIC, 1, address(other), "", "", "");

        vm.startPrank(address(issuer));
        vm.expectRevert(IERC735.SenderDoesNotHaveClaimSignerKey.selector);
        identity.addClaim(TOPIC, 1, address(other), "", "", "");
        vm.expectRevert(IERC735.SenderDoesNotHaveClaimSignerKey.selector);
        identity.removeClaim(idOf(address(other), TOPIC));
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        identity.addKey(keyOf(address(issuer)), CLAIM, ECDSA);
        vm.expectRevert(IERC734.SenderDoesNotHaveActionKey.selector);
        identity.execute(stranger, 0, "");
        identity.removeClaim(id);
        vm.stopPrank();
        addAsAdder(); // what it removed itself it may add again
    }

    function test_MutedAdderIsShutOut() public {
        addAsAdder();
        vm.expectEmit(address(identity));
        emit IIdentity.AdderMuted(true);
        vm.startPrank(holder);
        identity.setAdderMuted(true);
        identity.addKey(keyOf(address(issuer)), CLAIM, ECDSA); // muting outranks a key
        vm.stopPrank();
        IClaimIssuer.ClaimInput memory claim = claimFor(address(identity));
        vm.startPrank(address(issuer));
        vm.expectRevert(IIdentity.AdderIsMuted.selector);
        identity.addClaim(TOPIC, 1, address(issuer), claim.signature, claim.data, "");
        vm.expectRevert(IIdentity.AdderIsMuted.selector);
        identity.removeClaim(id);
        vm.stopPrank();
        vm.prank(holder);
        identity.setAdderMuted(false);
        addAsAdder();
    }

    function test_WhatTheHolderRemovedStaysRemoved() public {
        addAsAdder();
        vm.startPrank(holder);
        identity.removeClaim(id);
        identity.addKey(keyOf(address(issuer)), CLAIM, ECDSA); // does not help it
        vm.stopPrank();
        IClaimIssuer.ClaimInput memory claim = claimFor(address(identity));
        vm.startPrank(address(issuer));
        vm.expectRevert(abi.encodeWithSelector(IIdentity.ClaimRemovedByHolder.selector, id));
        identity.addClaim(TOPIC, 1, address(issuer), claim.signature, claim.data, "");
        vm.expectRevert(IERC735.SenderDoesNotHaveClaimSignerKey.selector);
        identity.allowClaim(id);
        vm.stopPrank();

        vm.expectEmit(address(identity));
        emit IIdentity.ClaimAllowed(id);
        vm.prank(holder);
        identity.allowClaim(id);
        addAsAdder();
    }

    function test_HolderAddsTheRemovedClaimHimself() public {
        addAsAdder();
        vm.prank(holder);
        identity.removeClaim(id);
        addAsHolder(identity, claimFor(address(identity)));
        addAsAdder();
        assertEq(identity.getClaimIdsByTopic(TOPIC).length, 1);
    }

    function test_RevertWhen_RemovingWhatIsNotThere() public {
        vm.prank(holder);
        vm.expectRevert(abi.encodeWithSelector(IERC735.ClaimNotRegistered.selector, id));
        identity.removeClaim(id);
    }

    function test_InterfacesAndVersion() public view {
        assertTrue(identity.supportsInterface(type(IERC165).interfaceId));
        assertTrue(identity.supportsInterface(type(IERC734).interfaceId));
        assertTrue(identity.supportsInterface(type(IERC735).interfaceId));
        assertTrue(identity.supportsInterface(type(IIdentity).interfaceId));
        assertTrue(issuer.supportsInterface(type(IClaimIssuer).interfaceId));
        assertFalse(identity.supportsInterface(type(IClaimIssuer).interfaceId));
        assertTrue(identity.supportsInterface(type(IBatchExecutor).interfaceId));
        assertFalse(identity.supportsInterface(0xffffffff));
        // ONCHAINID's ids: a function more in IERC734 or IERC735 would change them.
        assertEq(type(IERC734).interfaceId, bytes4(0x270d514f));
        assertEq(type(IERC735).interfaceId, bytes4(0xb6b4ee6d));
        assertTrue(identity.supportsInterface(0xc0969a6e)); // its IIdentity
        assertTrue(issuer.supportsInterface(0x0a6c81df)); // its IClaimIssuer
        assertFalse(identity.supportsInterface(0x0a6c81df));
        assertEq(identity.version(), "1.0.0");
        // The selectors that ONCHAINID and T-REX call.
        assertEq(IERC735.getClaim.selector, bytes4(0xc9100bcb));
        assertEq(IIdentity.isClaimValid.selector, bytes4(0xc0969a6e));
        assertEq(IERC734.keyHasPurpose.selector, bytes4(0xd202158d));
        assertEq(IERC735.addClaim.selector, bytes4(0xb1a34e0d));
    }
}
