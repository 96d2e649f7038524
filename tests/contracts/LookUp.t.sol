// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";

/// @dev Signatures are looked up among the revoked ones only once the issuer has revoked one by its bytes. No order of things makes a revoked one count.
contract LookUpTest is BaseTest {
    address internal identity = makeAddr("some identity");
    bytes32 internal word;

    function setUp() public override {
        super.setUp();
        word = wordOf(0);
    }

    function signedBy(uint256 key, address subject) private view returns (bytes memory) {
        return compact(key, issuer.claimDigest(subject, TOPIC, word));
    }

    function revoke(bytes memory signature) private {
        vm.prank(manager);
        issuer.revokeClaimBySignature(signature);
    }

    function addSigner(address who) private {
        vm.prank(manager);
        issuer.addKey(keyOf(who), CLAIM, CLAIMWRIGHT);
    }

    function test_EverySignerIsLookedUpFromThenOn() public {
        (address second, uint256 secondKey) = makeAddrAndKey("second signer");
        addSigner(second);
        revoke(signedBy(signerKey, identity));
        assertFalse(isValid(identity, TOPIC, signedBy(signerKey, identity), word));
        assertTrue(isValid(identity, TOPIC, signedBy(secondKey, identity), word));
        revoke(signedBy(secondKey, identity));
        assertFalse(isValid(identity, TOPIC, signedBy(secondKey, identity), word));
        assertTrue(isValid(holder, TOPIC, signedBy(signerKey, holder), word));
        assertTrue(isValid(holder, TOPIC, signedBy(secondKey, holder), word));
    }

    /// @dev The mark is no term: a signer of the older form, which signs nothing under terms, goes on.
    function test_SignersOfTheOlderFormGoOn() public {
        bytes memory signature = signLegacy(identity, TOPIC, "data");
        revoke(signature);
        assertFalse(issuer.isClaimValid(identity, TOPIC, signature, "data"));
        assertTrue(issuer.isClaimValid(holder, TOPIC, signLegacy(holder, TOPIC, "data"), "data"));
        vm.prank(manager);
        issuer.suspendSigner(legacySigner);
        assertFalse(issuer.isClaimValid(holder, TOPIC, signLegacy(holder, TOPIC, "data"), "data"));
    }

    function test_ASignatureIsRevokedBeforeItsSignerIsAKey() public {
        (address late, uint256 lateKey) = makeAddrAndKey("late signer");
        revoke(signedBy(lateKey, identity));
        addSigner(late);
        assertFalse(isValid(identity, TOPIC, signedBy(lateKey, identity), word));
        assertTrue(isValid(holder, TOPIC, signedBy(lateKey, holder), word));
    }

    function test_AKeyThatComesBackIsLookedUp() public {
        revoke(signedBy(signerKey, identity));
        vm.startPrank(manager);
        issuer.removeKey(keyOf(signer), CLAIM);
        issuer.addKey(keyOf(signer), CLAIM, CLAIMWRIGHT);
        vm.stopPrank();
        assertFalse(isValid(identity, TOPIC, signedBy(signerKey, identity), word));
        assertTrue(isValid(holder, TOPIC, signedBy(signerKey, holder), word));
    }

    function testFuzz_NewTermsChangeNothingAboutIt(uint32 from, uint32 until, uint16 life, bool suspend) public {
        revoke(signedBy(signerKey, identity));
        vm.startPrank(manager);
        if (suspend) issuer.suspendSigner(signer);
        issuer.setSignerTerms(signer, from, until, life);
        (uint32 from_, uint32 until_, uint16 life_, bool suspended) = issuer.signerTerms(signer);
        assertEq(abi.encode(from_, until_, life_, suspended), abi.encode(from, until, life, suspend));
        issuer.restoreSigner(signer);
        issuer.setSignerTerms(signer, 0, 0, 0);
        vm.stopPrank();
        assertFalse(isValid(identity, TOPIC, signedBy(signerKey, identity), word));
        assertTrue(isValid(holder, TOPIC, signedBy(signerKey, holder), word));
    }
}
