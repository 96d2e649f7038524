// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {HostedSetup} from "./HostedSetup.sol";
import {IClaimHost} from "../../contracts/interfaces/IClaimHost.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

/// @dev What a hosted claim is to those who read it, and to its holder.
contract HostedReadsTest is HostedSetup {
    IIdentity internal identity;

    function setUp() public override {
        super.setUp();
        identity = newIdentity();
    }

    function expectFailed() internal {
        vm.expectEmit(address(issuer));
        emit IClaimIssuer.ClaimFailed(address(identity), TOPIC, 0);
    }

    function test_IssuedIsShownAndVerified() public {
        bytes32 word = wordOf(0);
        vm.expectEmit(address(identity));
        emit IERC735.ClaimAdded(id, TOPIC, HOSTED, address(issuer), "", abi.encode(word), "");
        issue(identity, word);
        assertShows(identity, word);
        assertTrue(isHostedValid(identity, word));
        assertTrue(registry.isVerified(holder, TOPIC));
    }

    function test_RenewedIsChanged() public {
        issue(identity, wordOf(0));
        bytes32 old = wordOf(0);
        vm.warp(NOW + 10);
        bytes32 word = wordOf(0);
        vm.expectEmit(address(identity));
        emit IERC735.ClaimChanged(id, TOPIC, HOSTED, address(issuer), "", abi.encode(word), "");
        issue(identity, word);
        assertShows(identity, word);
        assertTrue(isHostedValid(identity, word));
        assertFalse(isHostedValid(identity, old));
    }

    function test_OnlyTheWordThatStands() public {
        issue(identity, wordOf(0));
        bytes32 word = wordOf(0);
        assertFalse(issuer.isClaimValid(address(identity), TOPIC, "", abi.encodePacked(word, uint8(0))));
        assertFalse(issuer.isClaimValid(address(identity), TOPIC, "", ""));
        assertFalse(issuer.isClaimValid(address(identity), TOPIC + 1, "", abi.encode(word)));
        assertFalse(issuer.isClaimValid(holder, TOPIC, "", abi.encode(word)));
    }

    function testFuzz_NoOtherWordIsValid(bytes32 word) public {
        issue(identity, wordOf(0));
        vm.assume(word != wordOf(0));
        assertFalse(isHostedValid(identity, word));
    }

    /// @dev The slot of a revoked (identity, topic) is not zero: what it holds is no claim.
    function testFuzz_NoWordIsValidAfterRevocation(bytes32 word) public {
        issue(identity, wordOf(0));
        vm.startPrank(operator);
        issuer.revokeSubject(address(identity), TOPIC);
        vm.stopPrank();
        assertFalse(isHostedValid(identity, word));
        assertFalse(isHostedValid(identity, bytes32(uint256(1) << 232)));
        assertFalse(issuer.isClaimValid(stranger, TOPIC, "", abi.encode(bytes32(0))));
    }

    function test_ExpiredIsFalse() public {
        bytes32 word = wordUntil(0, NOW + 100);
        issue(identity, word);
        vm.warp(NOW + 99);
        assertTrue(registry.isVerified(holder, TOPIC));
        vm.warp(NOW + 100);
        assertFalse(isHostedValid(identity, word));
        assertFalse(registry.isVerified(holder, TOPIC));
        assertShows(identity, word); // as any expired claim
    }

    function test_AnyRevocationEndsItAndReissueWorksAtOnce() public {
        uint16 epoch = 0;
        for (uint256 way = 0; way < 4; ++way) {
            bytes32 word = wordOf(epoch);
            issue(identity, word);
            assertTrue(registry.isVerified(holder, TOPIC));
            if (way == 0) revokeHosted(oneOf(address(identity)));
            vm.startPrank(way == 3 ? manager : operator);
            if (way == 1) issuer.revokeBatch(revocation(address(identity), TOPIC, epoch));
            if (way == 2) issuer.revokeSubject(address(identity), TOPIC);
            if (way == 3) issuer.revokeClaim(id, address(identity));
            vm.stopPrank();
            assertEq(issuer.epochOf(address(identity), TOPIC), ++epoch);
            assertFalse(isHostedValid(identity, word));
            assertFalse(registry.isVerified(holder, TOPIC));
            assertShowsNothing(identity);
        }
    }

    function test_RevocationIsToldByTheIdentity() public {
        bytes32 word = wordOf(0);
        issue(identity, word);
        vm.expectEmit(address(identity));
        emit IERC735.ClaimRemoved(id, TOPIC, HOSTED, address(issuer), "", abi.encode(word), "");
        revokeHosted(oneOf(address(identity)));
    }

    /// @dev A signed claim on the same (identity, topic) dies with it: one epoch for both forms.
    function test_RevokeHostedEndsTheSignedFormToo() public {
        bytes32 word = wordOf(0);
        bytes memory signature = signWord(address(identity), TOPIC, word);
        issue(identity, word);
        assertTrue(isValid(address(identity), TOPIC, signature, word));
        revokeHosted(oneOf(address(identity)));
        assertFalse(isValid(address(identity), TOPIC, signature, word));
    }

    function test_MutedShowsNothingAndTakesNothing() public {
        bytes32 word = wordOf(0);
        issue(identity, word);
        vm.prank(holder);
        identity.setAdderMuted(true);
        assertShowsNothing(identity);
        assertFalse(registry.isVerified(holder, TOPIC));
        vm.warp(NOW + 1);
        expectFailed();
        issue(identity, wordOf(0));
        vm.prank(holder);
        identity.setAdderMuted(false);
        assertShows(identity, word); // the renewal that failed has left no trace
        assertTrue(registry.isVerified(holder, TOPIC));
    }

    function test_MutedIsRevokedAllTheSame() public {
        bytes32 word = wordOf(0);
        issue(identity, word);
        vm.prank(holder);
        identity.setAdderMuted(true);
        revokeHosted(oneOf(address(identity)));
        assertFalse(isHostedValid(identity, word));
    }

    function test_RemovedStaysRemovedUntilAllowed() public {
        bytes32 word = wordOf(0);
        issue(identity, word);
        vm.expectEmit(address(identity));
        emit IERC735.ClaimRemoved(id, TOPIC, HOSTED, address(issuer), "", abi.encode(word), "");
        vm.prank(holder);
        identity.removeClaim(id);
        assertShowsNothing(identity);
        assertFalse(registry.isVerified(holder, TOPIC));
        vm.warp(NOW + 1);
        expectFailed();
        issue(identity, wordOf(0));
        assertShowsNothing(identity);
        vm.prank(holder);
        identity.allowClaim(id);
        issue(identity, wordOf(0));
        assertShows(identity, wordOf(0));
        assertTrue(registry.isVerified(holder, TOPIC));
    }

    function test_RemovedWhileMutedStaysRemoved() public {
        issue(identity, wordOf(0));
        vm.startPrank(holder);
        identity.setAdderMuted(true);
        identity.removeClaim(id);
        identity.setAdderMuted(false);
        vm.stopPrank();
        assertShowsNothing(identity);
    }

    function test_RemovedIsRevokedAllTheSame() public {
        issue(identity, wordOf(0));
        vm.startPrank(holder);
        identity.removeClaim(id);
        revokeByOperator();
        vm.startPrank(holder);
        identity.allowClaim(id);
        vm.stopPrank();
        assertShowsNothing(identity);
        assertEq(issuer.epochOf(address(identity), TOPIC), 1);
    }

    function revokeByOperator() private {
        vm.stopPrank();
        revokeHosted(oneOf(address(identity)));
    }

    function testFuzz_OnlyTheAdderTellsOfHostedClaims(address sender, bytes32 old, bytes32 word) public {
        vm.assume(sender != address(issuer));
        vm.prank(sender);
        vm.expectRevert(IIdentity.SenderIsNotAdder.selector);
        identity.hostedWordChanged(TOPIC, old, word);
    }

    /// @dev What stands on the identity comes first, until the issuer takes it away.
    function test_SignedClaimIsShownUntilWithdrawn() public {
        addAsHolder(identity, claimFor(address(identity)));
        issue(identity, wordUntil(0, NOW + 100));
        (, uint256 scheme,,,,) = identity.getClaim(id);
        assertEq(scheme, 1);
        assertEq(identity.getClaimIdsByTopic(TOPIC).length, 1);
        vm.prank(operator);
        issuer.withdraw(TOPIC, oneOf(address(identity)));
        assertShows(identity, wordUntil(0, NOW + 100));
    }

    function test_WithdrawOfNothingIsAFailureNotARevert() public {
        expectFailed();
        vm.prank(operator);
        issuer.withdraw(TOPIC, oneOf(address(identity)));
        vm.prank(signer);
        vm.expectRevert(IClaimIssuer.SenderIsNotOperator.selector);
        issuer.withdraw(TOPIC, oneOf(address(identity)));
    }

    function test_OnboardMakesWhatIsAbsent() public {
        address second = makeAddr("second");
        IClaimHost.Hosted[] memory items = new IClaimHost.Hosted[](2);
        items[0] = IClaimHost.Hosted(holder, wordOf(0));
        items[1] = IClaimHost.Hosted(second, wordOf(0));
        onboardHosted(items);
        assertEq(factory.getIdentity(second), factory.predict(second, address(issuer)));
        assertTrue(registry.isVerified(holder, TOPIC));
        assertTrue(registry.isVerified(second, TOPIC));
        assertShows(IIdentity(factory.getIdentity(second)), wordOf(0));
    }
}
