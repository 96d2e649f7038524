// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Burner, Wallet} from "./Hostile.sol";
import {IClaimSigners} from "../../contracts/interfaces/IClaimSigners.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {ClaimWord} from "../../contracts/libraries/ClaimWord.sol";

contract SignersTest is BaseTest {
    address internal identity = makeAddr("some identity");
    address internal guardian = makeAddr("guardian");

    function setUp() public override {
        super.setUp();
        vm.prank(manager);
        issuer.setGuardian(guardian, true);
    }

    function counts(uint32 issuedAt, uint32 expiresAt) internal view returns (bool) {
        bytes32 word = ClaimWord.pack(0, issuedAt, expiresAt, 0);
        return isValid(identity, TOPIC, signWord(identity, TOPIC, word), word);
    }

    function test_GuardianSuspendsManagerRestores() public {
        assertTrue(counts(NOW, 0));
        vm.startPrank(guardian);
        issuer.suspendSigner(signer);
        assertFalse(counts(NOW, 0));
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        issuer.restoreSigner(signer);
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        issuer.setSignerTerms(signer, 0, 0, 0);
        vm.stopPrank();
        vm.startPrank(manager);
        issuer.setSignerTerms(signer, 0, 0, 9); // terms do not lift a suspension
        assertFalse(counts(NOW, NOW + 1 days));
        issuer.restoreSigner(signer);
        assertTrue(counts(NOW, NOW + 1 days));
    }

    /// @dev The older form says nothing of when it was issued or ends, so that under terms of any kind it cannot be seen to keep them.
    function test_TermsHoldForTheOlderFormToo() public {
        bytes memory signature = signLegacy(identity, TOPIC, "data");
        assertTrue(issuer.isClaimValid(identity, TOPIC, signature, "data"));
        vm.prank(guardian);
        issuer.suspendSigner(legacySigner);
        assertFalse(issuer.isClaimValid(identity, TOPIC, signature, "data"));
        vm.startPrank(manager);
        issuer.restoreSigner(legacySigner);
        assertTrue(issuer.isClaimValid(identity, TOPIC, signature, "data"));
        uint32[3][3] memory limits = [[uint32(1), 0, 0], [uint32(0), NOW, 0], [uint32(0), 0, 1]];
        for (uint256 i = 0; i < 3; ++i) {
            issuer.setSignerTerms(legacySigner, limits[i][0], limits[i][1], uint16(limits[i][2]));
            assertFalse(issuer.isClaimValid(identity, TOPIC, signature, "data"));
        }
        issuer.setSignerTerms(legacySigner, 0, 0, 0);
        assertTrue(issuer.isClaimValid(identity, TOPIC, signature, "data"));
    }

    function testFuzz_OnlyGuardiansSuspend(address sender) public {
        vm.assume(sender != guardian && sender != manager && sender != address(issuer));
        vm.prank(sender);
        vm.expectRevert(IClaimSigners.SenderIsNotGuardian.selector);
        issuer.suspendSigner(signer);
    }

    function testFuzz_WindowAndLife(uint32 issuedAt, uint32 expiresAt, uint32 from, uint32 until, uint16 life) public {
        vm.prank(manager);
        issuer.setSignerTerms(signer, from, until, life);
        (uint32 f, uint32 u, uint16 l, bool suspended) = issuer.signerTerms(signer);
        assertEq(abi.encode(f, u, l, suspended), abi.encode(from, until, life, false));
        bool current = expiresAt == 0 || expiresAt > NOW;
        bool within = issuedAt >= from && (until == 0 || issuedAt <= until);
        uint256 start = issuedAt < NOW ? issuedAt : NOW;
        bool short = life == 0 || (expiresAt != 0 && expiresAt <= start + uint256(life) * 1 days);
        assertEq(counts(issuedAt, expiresAt), current && within && short);
    }

    function test_RevertWhen_ThereIsNoSuchSigner() public {
        vm.prank(manager);
        vm.expectRevert(abi.encodeWithSelector(IERC734.KeyNotRegistered.selector, keyOf(stranger)));
        issuer.setSignerTerms(stranger, 0, 0, 1);
    }

    function test_AContractSigns() public {
        Wallet wallet = new Wallet();
        bytes32 word = wordOf(0);
        bytes memory signature = abi.encodePacked(address(wallet), new bytes(65));
        wallet.consent(issuer.claimDigest(identity, TOPIC, word));
        assertFalse(isValid(identity, TOPIC, signature, word));
        vm.startPrank(manager);
        issuer.addKey(keyOf(address(wallet)), CLAIM, 1271);
        assertTrue(isValid(identity, TOPIC, signature, word));
        assertFalse(isValid(identity, TOPIC + 1, signature, word));
        issuer.revokeClaimBySignature(signature);
        assertFalse(isValid(identity, TOPIC, signature, word));
        Burner burner = new Burner();
        issuer.addKey(keyOf(address(burner)), CLAIM, 1271);
        bytes memory burning = abi.encodePacked(address(burner), new bytes(65));
        assertFalse(issuer.isClaimValid{gas: 400_000}(identity, TOPIC, burning, abi.encodePacked(word)));
    }
}
