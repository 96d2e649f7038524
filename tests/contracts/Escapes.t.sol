// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Parrot} from "./Hostile.sol";
import {HostedSetup} from "./HostedSetup.sol";
import {OnchainidSetup} from "./OnchainidSetup.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IClaimIssuerRegistry} from "../../contracts/interfaces/IClaimIssuerRegistry.sol";
import {IBatchExecutor} from "../../contracts/interfaces/IBatchExecutor.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {IIdentityFactory} from "../../contracts/interfaces/IIdentityFactory.sol";

interface ITheirFactory {
    function createIdentity(address wallet, string calldata salt) external returns (address);
    function linkWallet(address wallet) external;
    function getIdentity(address wallet) external view returns (address);
}

/// @dev Called by an identity, it approves the request that called it again, three times at most.
contract Repeater {
    IERC734 private immutable IDENTITY;
    uint256 public runs;

    constructor(IERC734 identity) {
        IDENTITY = identity;
    }

    function approve() public {
        IDENTITY.approve(0, true);
    }

    function run() external {
        if (++runs < 3) {
            try this.approve() {} catch {}
        }
    }
}

/// @dev The escapes that are open elsewhere: each is run against ONCHAINID 2.2.1, to see that it is one, and against ours, to see that it is closed.
contract EscapesTest is HostedSetup, OnchainidSetup {
    IIdentity internal ours;
    IIdentity internal theirs;
    IClaimIssuer internal theirIssuer;
    address internal subject = makeAddr("subject");

    function setUp() public override {
        super.setUp();
        ours = newIdentity();
        theirs = IIdentity(deployTheirs("Identity", abi.encode(holder, false)));
        theirIssuer = newTheirIssuer();
    }

    function newTheirIssuer() private returns (IClaimIssuer made) {
        made = IClaimIssuer(deployTheirs("ClaimIssuer", abi.encode(manager)));
        vm.prank(manager);
        made.addKey(keyOf(legacySigner), CLAIM, ECDSA);
    }

    function test_MalleableSignatureAfterRevocation() public {
        assertTrue(survivesAsTwin(theirIssuer));
        assertFalse(survivesAsTwin(issuer));
    }

    function survivesAsTwin(IClaimIssuer where) private returns (bool) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(legacyKey, legacyDigest(subject, TOPIC, "data"));
        assertTrue(where.isClaimValid(subject, TOPIC, abi.encodePacked(r, s, v), "data"));
        vm.prank(manager);
        where.revokeClaimBySignature(abi.encodePacked(r, s, v));
        assertFalse(where.isClaimValid(subject, TOPIC, abi.encodePacked(r, s, v), "data"));
        bytes32 high = bytes32(ORDER - uint256(s));
        return where.isClaimValid(subject, TOPIC, abi.encodePacked(r, high, v == 27 ? uint8(28) : uint8(27)), "data")
            || where.isClaimValid(subject, TOPIC, abi.encodePacked(r, s, v - 27), "data");
    }

    /// @dev The subject shows a decoy while it is revoked, and the claim afterwards.
    function test_DecoyRevocation() public {
        assertTrue(survivesByDecoy(theirIssuer));
        assertFalse(survivesByDecoy(issuer));
    }

    function survivesByDecoy(IClaimIssuer where) private returns (bool) {
        Parrot decoy = new Parrot();
        bytes memory claim = signLegacy(address(decoy), TOPIC, "data");
        bytes memory nothing = abi.encode(TOPIC, 1, address(where), new bytes(65), "data", "");
        decoy.teach(IERC735.getClaim.selector, nothing);
        vm.prank(manager);
        where.revokeClaim(idOf(address(where), TOPIC), address(decoy));
        return where.isClaimValid(address(decoy), TOPIC, claim, "data");
    }

    function test_ReentrantApprove() public {
        assertGt(runsOfOneRequest(theirs), 1);
        assertEq(runsOfOneRequest(ours), 1);
    }

    function runsOfOneRequest(IIdentity identity) private returns (uint256) {
        Repeater repeater = new Repeater(identity);
        address helper = makeAddr("holder of a CLAIM key");
        vm.startPrank(holder);
        identity.addKey(keyOf(address(repeater)), ACTION, ECDSA);
        identity.addKey(keyOf(helper), CLAIM, ECDSA);
        vm.stopPrank();
        vm.prank(helper);
        identity.execute(address(repeater), 0, abi.encodeCall(repeater.run, ()));
        repeater.approve();
        return repeater.runs();
    }

    /// @dev Open in the unreleased third version of ONCHAINID, whose bytecode npm does not have: a CLAIM key calls addKey by a self-call.
    function test_ClaimKeyMakingItselfManager() public {
        bytes memory grab = abi.encodeCall(IERC734.addKey, (keyOf(stranger), MANAGEMENT, ECDSA));
        vm.prank(holder);
        ours.addKey(keyOf(stranger), CLAIM, ECDSA);
        vm.startPrank(stranger);
        uint256 request = ours.execute(address(ours), 0, grab);
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        ours.approve(request, true);
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        ours.addKey(keyOf(stranger), MANAGEMENT, ECDSA);
        IBatchExecutor.Call[] memory calls = new IBatchExecutor.Call[](1);
        calls[0] = IBatchExecutor.Call(address(ours), 0, grab);
        vm.expectRevert(IERC734.SenderDoesNotHaveActionKey.selector);
        ours.executeBatch(calls);
        assertFalse(ours.keyHasPurpose(keyOf(stranger), MANAGEMENT));
    }

    /// @dev Whoever has the key of address(0) as a signer takes every malformed signature for a good one.
    function test_ZeroAddressKey() public {
        vm.startPrank(manager);
        theirIssuer.addKey(keyOf(address(0)), CLAIM, ECDSA);
        assertTrue(theirIssuer.isClaimValid(subject, TOPIC, "no signature", "anything"));
        vm.expectRevert(IERC734.ZeroKey.selector);
        issuer.addKey(keyOf(address(0)), CLAIM, ECDSA);
        vm.expectRevert(IERC734.ZeroKey.selector);
        issuer.addKey(bytes32(0), CLAIM, CLAIMWRIGHT);
        assertFalse(issuer.isClaimValid(subject, TOPIC, "no signature", "anything"));
    }

    function test_LinkingWithoutConsent() public {
        address library_ = deployTheirs("Identity", abi.encode(holder, true));
        address authority =
            deployTheirs("proxy/ImplementationAuthority", "ImplementationAuthority", abi.encode(library_));
        ITheirFactory theirFactory =
            ITheirFactory(deployTheirs("factory/IdFactory", "IdFactory", abi.encode(authority)));
        theirFactory.createIdentity(holder, "salt");
        vm.startPrank(holder);
        theirFactory.linkWallet(subject);
        assertNotEq(theirFactory.getIdentity(subject), address(0)); // it never asked for that
        factory.proposeLink(subject);
        assertEq(factory.getIdentity(subject), address(0));
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.LinkNotProposed.selector, stranger, address(ours)));
        factory.acceptLink(address(ours));
    }

    function test_ReplayOnAnotherChain() public {
        bytes memory legacy = signLegacy(subject, TOPIC, "data");
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(subject, TOPIC, word);
        assertTrue(isValid(subject, TOPIC, signature, word));
        vm.chainId(1);
        assertTrue(theirIssuer.isClaimValid(subject, TOPIC, legacy, "data"));
        assertFalse(isValid(subject, TOPIC, signature, word));
    }

    function test_ReplayAtAnotherIssuer() public {
        bytes memory legacy = signLegacy(subject, TOPIC, "data");
        assertTrue(newTheirIssuer().isClaimValid(subject, TOPIC, legacy, "data"));
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(subject, TOPIC, word);
        assertTrue(isValid(subject, TOPIC, signature, word));
        assertFalse(newIssuer().isClaimValid(subject, TOPIC, signature, abi.encode(word)));
    }

    /// @dev In getClaim topic 0 means that there is no claim; theirs is listed, cannot be removed, and is listed again each time.
    function test_TopicZero() public {
        vm.startPrank(holder);
        theirs.addClaim(0, 1, address(theirs), "", "", "");
        assertEq(theirs.getClaimIdsByTopic(0).length, 1);
        vm.expectRevert();
        theirs.removeClaim(idOf(address(theirs), 0));
        vm.expectRevert(IERC735.ZeroTopic.selector);
        ours.addClaim(0, 1, address(ours), "", "", "");
        assertEq(ours.getClaimIdsByTopic(0).length, 0);
        vm.stopPrank();
        vm.prank(owner);
        vm.expectRevert(IClaimIssuerRegistry.ZeroTopic.selector);
        registry.addTrustedIssuer(subject, topics(0));
        assertFalse(registry.isVerified(holder, 0));
        assertFalse(registry.isVerifiedIdentity(address(ours), 0));
    }
}
