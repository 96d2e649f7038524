// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {BaseTest} from "./Base.t.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
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

    function testFuzz_SignedWordIsValid(address subject, uint256 topic, uint32 issuedAt, bytes21 commitment)
        public
        view
    {
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
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address place,,) =
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
