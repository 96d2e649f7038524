// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Parrot} from "./Hostile.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {ClaimWord} from "../../contracts/libraries/ClaimWord.sol";

contract ValidityTest is BaseTest {
    address internal identity = makeAddr("some identity");

    function testFuzz_WordRoundTrip(uint16 epoch, uint32 issuedAt, uint32 expiresAt, bytes21 commitment) public pure {
        bytes32 word = ClaimWord.pack(epoch, issuedAt, expiresAt, commitment);
        (uint8 first, uint16 e, uint32 i, uint32 x, bytes21 c) = ClaimWord.unpack(word);
        assertEq(first, 1);
        assertEq(e, epoch);
        assertEq(i, issuedAt);
        assertEq(x, expiresAt);
        assertEq(bytes32(c), bytes32(commitment));
    }

    function testFuzz_SignedWordIsValid(address subject, uint256 topic, uint32 issuedAt, bytes21 commitment) public view {
        bytes32 word = ClaimWord.pack(0, issuedAt, 0, commitment);
        assertTrue(isValid(subject, topic, signWord(subject, topic, word), word));
    }

    function testFuzz_NothingElseIsSigned(address subject, uint256 topic, bytes32 other) public view {
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(identity, TOPIC, word);
        vm.assume(subject != identity && topic != TOPIC && other != word);
        assertFalse(isValid(subject, TOPIC, signature, word));
        assertFalse(isValid(identity, topic, signature, word));
        assertFalse(isValid(identity, TOPIC, signature, other));
    }

    function testFuzz_Expiry(uint32 expiresAt, uint256 time) public {
        expiresAt = uint32(bound(expiresAt, 1, type(uint32).max));
        bytes32 word = ClaimWord.pack(0, 0, expiresAt, 0);
        bytes memory signature = signWord(identity, TOPIC, word);
        time = bound(time, 0, type(uint64).max);
        vm.warp(time);
        assertEq(isValid(identity, TOPIC, signature, word), time < expiresAt);
        vm.warp(expiresAt);
        assertFalse(isValid(identity, TOPIC, signature, word));
        vm.warp(expiresAt - 1);
        assertTrue(isValid(identity, TOPIC, signature, word));
    }

    function testFuzz_OnlyLayoutOneAndTheEpochNow(uint8 first, uint16 epoch) public view {
        vm.assume(first != 1);
        bytes32 word = bytes32(abi.encodePacked(first, bytes31(0)));
        assertFalse(isValid(identity, TOPIC, signWord(identity, TOPIC, word), word));
        word = wordOf(epoch);
        assertEq(isValid(identity, TOPIC, signWord(identity, TOPIC, word), word), epoch == 0);
    }

    function test_DataIsExactlyTheWord() public view {
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(identity, TOPIC, word);
        assertTrue(issuer.isClaimValid(identity, TOPIC, signature, abi.encodePacked(word)));
        assertFalse(issuer.isClaimValid(identity, TOPIC, signature, abi.encodePacked(word, hex"00")));
        assertFalse(issuer.isClaimValid(identity, TOPIC, signature, abi.encodePacked(bytes31(word))));
        assertFalse(issuer.isClaimValid(identity, TOPIC, signature, ""));
    }

    function test_NoReplayAtAnotherIssuerOrChain() public {
        IClaimIssuer other = newIssuer(); // with the same signer
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(identity, TOPIC, word);
        assertFalse(other.isClaimValid(identity, TOPIC, signature, abi.encodePacked(word)));
        vm.chainId(1);
        assertFalse(isValid(identity, TOPIC, signature, word));
        vm.chainId(31337);
        assertTrue(isValid(identity, TOPIC, signature, word));
    }

    function test_OneEncodingOnly() public view {
        bytes32 word = wordOf(0);
        bytes32 digest = issuer.claimDigest(identity, TOPIC, word);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, digest);
        assertFalse(isValid(identity, TOPIC, abi.encodePacked(r, s, v), word)); // 65 bytes is the other form
        bytes32 high = bytes32(ORDER - uint256(s));
        assertFalse(isValid(identity, TOPIC, abi.encodePacked(r, high, v == 27 ? 28 : 27), word));
        // A high s collides with the parity bit of EIP-2098, so it reads as another signature, which is nobody's.
        assertFalse(isValid(identity, TOPIC, abi.encodePacked(r, high), word));
        assertFalse(isValid(identity, TOPIC, abi.encodePacked(r, s, v, uint8(0)), word));
    }

    function test_SignerNeedsTheExplicitPurposeAndType() public {
        (address boss, uint256 bossKey) = makeAddrAndKey("boss");
        bytes32 word = wordOf(0);
        bytes memory signature = compact(bossKey, issuer.claimDigest(identity, TOPIC, word));
        vm.startPrank(manager);
        issuer.addKey(keyOf(boss), MANAGEMENT, CLAIMWRIGHT);
        assertFalse(isValid(identity, TOPIC, signature, word)); // MANAGEMENT does not count
        issuer.addKey(keyOf(boss), CLAIM, CLAIMWRIGHT);
        assertTrue(isValid(identity, TOPIC, signature, word));
        vm.stopPrank();
        signature = compact(legacyKey, issuer.claimDigest(identity, TOPIC, word));
        assertFalse(isValid(identity, TOPIC, signature, word)); // CLAIM, but of type 1
    }

    function test_RemovedSignerSignsNoMore() public {
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(identity, TOPIC, word);
        vm.prank(manager);
        issuer.removeKey(keyOf(signer), CLAIM);
        assertFalse(isValid(identity, TOPIC, signature, word));
    }

    function testFuzz_LegacyForm(bytes calldata data) public view {
        bytes memory signature = signLegacy(identity, TOPIC, data);
        assertTrue(issuer.isClaimValid(identity, TOPIC, signature, data));
        assertFalse(issuer.isClaimValid(identity, TOPIC + 1, signature, data));
        assertFalse(issuer.isClaimValid(stranger, TOPIC, signature, data));
    }

    /// @dev Our signer's type admits the 64-byte form only: whoever has it sign by eth_sign gets nothing.
    function test_NoDowngradeOfOurSigner() public {
        bytes memory signature = full(signerKey, legacyDigest(identity, TOPIC, "data"));
        assertFalse(issuer.isClaimValid(identity, TOPIC, signature, "data"));
        vm.prank(manager); // not even as a manager
        issuer.addKey(keyOf(signer), MANAGEMENT, CLAIMWRIGHT);
        assertFalse(issuer.isClaimValid(identity, TOPIC, signature, "data"));
    }

    function test_LegacyIsCanonicalOnly() public view {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(legacyKey, legacyDigest(identity, TOPIC, "data"));
        assertTrue(issuer.isClaimValid(identity, TOPIC, abi.encodePacked(r, s, v), "data"));
        bytes memory flipped = abi.encodePacked(r, ORDER - uint256(s), v == 27 ? uint8(28) : uint8(27));
        assertFalse(issuer.isClaimValid(identity, TOPIC, flipped, "data"));
        assertFalse(issuer.isClaimValid(identity, TOPIC, abi.encodePacked(r, s, v - 27), "data"));
        assertEq(issuer.getRecoveredAddress(flipped, legacyDigest(identity, TOPIC, "data")), address(0));
    }

    function test_LegacyEndsWithTheFirstRevocation() public {
        bytes memory signature = signLegacy(identity, TOPIC, "data");
        vm.prank(operator);
        issuer.revokeSubject(identity, TOPIC);
        assertFalse(issuer.isClaimValid(identity, TOPIC, signature, "data"));
        assertTrue(issuer.isClaimValid(identity, TOPIC + 1, signLegacy(identity, TOPIC + 1, "data"), "data"));
    }

    function test_Domain() public view {
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address place, , ) =
            IERC5267(address(issuer)).eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "Claimwright");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(place, address(issuer));
        assertEq(issuer.factory(), address(factory));
    }

    function test_RevertWhen_DeployedWithoutManagerOrFactory() public {
        vm.expectRevert();
        this.deploy(abi.encode(address(0), factory));
        vm.expectRevert();
        this.deploy(abi.encode(manager, address(0)));
    }

    function deploy(bytes calldata args) external {
        deployCode("ClaimIssuer.sol:ClaimIssuer", args);
    }
}

interface IERC5267 {
    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory);
}

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
        for (uint256 i = 0; i < items.length; ++i) assertEq(issuer.epochOf(items[i].identity, TOPIC), 1);
    }

    function test_LastEpochIsTheEnd() public {
        address identity = makeAddr("often revoked");
        vm.startPrank(operator);
        for (uint256 i = 0; i < 65_535; ++i) issuer.revokeBatch(revocation(identity, TOPIC, uint16(i)));
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
            IERC735.getClaim.selector,
            abi.encode(TOPIC, 1, address(issuer), neighbour.signature, neighbour.data, "")
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
