// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Parrot} from "./Hostile.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";

contract RevocationTest is BaseTest {
    function test_RevokedAtOnceAndReissuedInTheNextEpoch() public {
        address identity = address(onboard(holder));
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(identity, TOPIC, word);
        assertTrue(registry.isVerified(holder, TOPIC));
        vm.expectEmit(address(issuer));
        emit IClaimIssuer.SubjectRevoked(identity, TOPIC, 1);
        vm.prank(operator);
        issuer.revokeSubject(identity, TOPIC);
        assertEq(issuer.epochOf(identity, TOPIC), 1);
        assertFalse(isValid(identity, TOPIC, signature, word));
        assertFalse(registry.isVerified(holder, TOPIC));
        onboard(holder);
        assertTrue(registry.isVerified(holder, TOPIC));
    }

    function testFuzz_OtherSubjectsAreUntouched(address a, address b, uint256 topic) public {
        vm.assume(a != b && topic != TOPIC);
        vm.prank(manager);
        issuer.revokeSubject(a, TOPIC);
        assertEq(issuer.epochOf(b, TOPIC), 0);
        assertEq(issuer.epochOf(a, topic), 0);
    }

    function test_BatchRepeatedDoesNothing() public {
        address identity = address(onboard(holder));
        vm.startPrank(operator);
        issuer.revokeBatch(revocation(identity, TOPIC, 0));
        assertEq(issuer.epochOf(identity, TOPIC), 1);
        vm.recordLogs();
        issuer.revokeBatch(revocation(identity, TOPIC, 0));
        issuer.revokeBatch(revocation(identity, TOPIC, 2));
        assertEq(vm.getRecordedLogs().length, 0);
        assertEq(issuer.epochOf(identity, TOPIC), 1);
    }

    function testFuzz_BatchBumpsEachOnce(uint8 count) public {
        IClaimIssuer.Revocation[] memory items = new IClaimIssuer.Revocation[](uint256(count) % 20);
        for (uint256 i = 0; i < items.length; ++i) {
            items[i] = IClaimIssuer.Revocation(address(uint160(1 + i / 2)), TOPIC, 0); // each of them twice
        }
        vm.startPrank(operator);
        issuer.revokeBatch(items);
        issuer.revokeBatch(items);
        for (uint256 i = 0; i < items.length; ++i) {
            assertEq(issuer.epochOf(items[i].identity, TOPIC), 1);
        }
    }

    function test_LastEpochIsTheEnd() public {
        address identity = makeAddr("often revoked");
        vm.startPrank(operator);
        for (uint256 i = 0; i < 65_535; ++i) {
            issuer.revokeBatch(revocation(identity, TOPIC, uint16(i)));
        }
        assertEq(issuer.epochOf(identity, TOPIC), 65_535);
        vm.expectRevert(IClaimIssuer.EpochExhausted.selector);
        issuer.revokeSubject(identity, TOPIC);
        issuer.revokeBatch(revocation(identity, TOPIC, 65_535));
        assertEq(issuer.epochOf(identity, TOPIC), 65_535);
        bytes32 word = wordOf(65_535);
        assertFalse(isValid(identity, TOPIC, signWord(identity, TOPIC, word), word));
    }

    function test_SignatureIsRevokedInEveryEncoding() public {
        address identity = makeAddr("some identity");
        bytes32 word = wordOf(0);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, issuer.claimDigest(identity, TOPIC, word));
        bytes[5] memory encodings = encodingsOf(v, r, s);
        for (uint256 i = 0; i < 5; ++i) {
            uint256 state = vm.snapshotState();
            vm.prank(manager);
            issuer.revokeClaimBySignature(encodings[i]);
            for (uint256 j = 0; j < 5; ++j) {
                assertTrue(issuer.isClaimRevoked(encodings[j]));
                assertTrue(issuer.revokedClaims(encodings[j]));
            }
            assertFalse(isValid(identity, TOPIC, signWord(identity, TOPIC, word), word));
            vm.prank(manager);
            vm.expectRevert(IClaimIssuer.ClaimAlreadyRevoked.selector);
            issuer.revokeClaimBySignature(encodings[(i + 1) % 5]);
            vm.revertToState(state);
        }
    }

    function encodingsOf(uint8 v, bytes32 r, bytes32 s) private pure returns (bytes[5] memory) {
        uint256 high = ORDER - uint256(s);
        uint8 flipped = v == 27 ? 28 : 27;
        return [
            abi.encodePacked(r, s, v),
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(r, high, flipped),
            abi.encodePacked(r, high, flipped - 27),
            abi.encodePacked(r, (uint256(v - 27) << 255) | uint256(s))
        ];
    }

    /// @dev The hole of ONCHAINID before 2026: the malleable twin of a revoked signature is valid.
    function test_MalleableTwinDoesNotResurrect() public {
        address identity = makeAddr("some identity");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(legacyKey, legacyDigest(identity, TOPIC, "data"));
        bytes memory twin = abi.encodePacked(r, ORDER - uint256(s), v == 27 ? uint8(28) : uint8(27));
        vm.prank(manager);
        issuer.revokeClaimBySignature(twin);
        assertFalse(issuer.isClaimValid(identity, TOPIC, abi.encodePacked(r, s, v), "data"));
        assertFalse(issuer.isClaimValid(identity, TOPIC, twin, "data"));
    }

    function test_RevokeClaimAsOnchainid() public {
        address identity = address(onboard(holder));
        bytes memory signature = signWord(identity, TOPIC, wordOf(0));
        vm.expectEmit(address(issuer));
        emit IClaimIssuer.ClaimRevoked(signature);
        vm.prank(manager);
        assertTrue(issuer.revokeClaim(idOf(address(issuer), TOPIC), identity));
        assertTrue(issuer.isClaimRevoked(signature));
        assertEq(issuer.epochOf(identity, TOPIC), 1);
        assertFalse(registry.isVerified(holder, TOPIC));
    }

    /// @dev A hostile identity shows a neighbour's signature: its own claim dies, the neighbour's lives.
    function test_DecoyDoesNotSaveTheClaimNorHurtTheNeighbour() public {
        IClaimIssuer.ClaimInput memory neighbour = claimFor(makeAddr("neighbour"));
        Parrot decoy = new Parrot();
        bytes32 word = wordOf(0);
        bytes memory own = signWord(address(decoy), TOPIC, word);
        decoy.teach(
            IERC735.getClaim.selector, abi.encode(TOPIC, 1, address(issuer), neighbour.signature, neighbour.data, "")
        );
        vm.prank(manager);
        issuer.revokeClaim(idOf(address(issuer), TOPIC), address(decoy));
        assertFalse(issuer.isClaimRevoked(neighbour.signature));
        assertTrue(issuer.isClaimValid(makeAddr("neighbour"), TOPIC, neighbour.signature, neighbour.data));
        assertFalse(isValid(address(decoy), TOPIC, own, word));
    }

    function test_RevertWhen_TheIdentityShowsNoSuchClaim() public {
        Parrot liar = new Parrot();
        bytes32 id = idOf(address(issuer), TOPIC);
        vm.startPrank(manager);
        vm.expectRevert(abi.encodeWithSelector(IERC735.ClaimNotRegistered.selector, id));
        issuer.revokeClaim(id, address(liar));
        liar.teach(IERC735.getClaim.selector, abi.encode(TOPIC + 1, 1, address(issuer), "", "", ""));
        vm.expectRevert(abi.encodeWithSelector(IERC735.ClaimNotRegistered.selector, id));
        issuer.revokeClaim(id, address(liar));
        issuer.revokeSubject(address(liar), TOPIC); // the way that needs nobody's help
    }

    function testFuzz_WhoMayRevoke(address sender) public {
        vm.assume(sender != manager && sender != operator && sender != address(issuer));
        vm.startPrank(sender);
        vm.expectRevert(IClaimIssuer.SenderIsNotOperator.selector);
        issuer.revokeSubject(holder, TOPIC);
        vm.expectRevert(IClaimIssuer.SenderIsNotOperator.selector);
        issuer.revokeBatch(revocation(holder, TOPIC, 0));
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        issuer.revokeClaimBySignature("");
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        issuer.revokeClaim(0, holder);
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        issuer.setOperator(sender, true);
        vm.expectRevert(IClaimIssuer.SenderIsNotOperator.selector);
        issuer.onboard(new IClaimIssuer.Onboarding[](0));
        vm.expectRevert(IClaimIssuer.SenderIsNotOperator.selector);
        issuer.addClaimsTo(new IClaimIssuer.Addition[](0));
    }

    function test_OperatorMayDoNothingElse() public {
        vm.startPrank(operator);
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        issuer.revokeClaimBySignature("");
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        issuer.revokeClaim(0, holder);
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        issuer.setOperator(stranger, true);
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        issuer.addKey(keyOf(operator), CLAIM, CLAIMWRIGHT);
        vm.expectRevert(IERC734.SenderDoesNotHaveActionKey.selector);
        issuer.execute(stranger, 0, "");
        vm.expectRevert(IERC735.SenderDoesNotHaveClaimSignerKey.selector);
        issuer.addClaim(TOPIC, 1, address(issuer), "", "", "");
        vm.stopPrank();
        vm.prank(manager);
        issuer.setOperator(operator, false);
        vm.prank(operator);
        vm.expectRevert(IClaimIssuer.SenderIsNotOperator.selector);
        issuer.revokeSubject(holder, TOPIC);
    }
}
