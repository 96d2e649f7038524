// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Vm} from "forge-std/Vm.sol";
import {HostedSetup} from "./HostedSetup.sol";
import {Bomb, Burner, Parrot} from "./Hostile.sol";
import {IClaimHost} from "../../contracts/interfaces/IClaimHost.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IClaimSigners} from "../../contracts/interfaces/IClaimSigners.sol";
import {IERC735} from "../../contracts/interfaces/IERC735.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {ClaimWord} from "../../contracts/libraries/ClaimWord.sol";

/// @dev When told of a hosted claim, revokes it, as an operator that it should never be.
contract Revoker {
    IClaimIssuer private immutable ISSUER;
    bool public revoked;

    constructor(IClaimIssuer issuer) {
        ISSUER = issuer;
    }

    function hostedWordChanged(uint256 topic, bytes32, bytes32) external returns (bool) {
        try ISSUER.revokeSubject(address(this), topic) {
            revoked = true;
        } catch {}
        return true;
    }
}

/// @dev Who may send which batch, and what a bad item does to the others.
contract HostedBatchesTest is HostedSetup {
    IIdentity internal identity;
    bytes32 internal word;

    function setUp() public override {
        super.setUp();
        identity = newIdentity();
        word = wordOf(0);
    }

    function items() internal view returns (IClaimHost.Hosted[] memory) {
        return one(address(identity), word);
    }

    function refused(IClaimHost.Authorization memory authorization) internal {
        vm.prank(operator);
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.issue(TOPIC, items(), authorization);
    }

    /// @dev A sender's key that was stolen has no claim signer's signature; a claim signer is no sender.
    function test_NeedsBothTheOperatorAndTheSigner() public {
        IClaimHost.Authorization memory good = leaveFor(items());
        vm.prank(signer);
        vm.expectRevert(IClaimIssuer.SenderIsNotOperator.selector);
        issuer.issue(TOPIC, items(), good);
        refused(IClaimHost.Authorization(good.nonce, good.deadline, ""));
        refused(IClaimHost.Authorization(good.nonce, good.deadline, new bytes(64)));
        (, uint256 strangerKey) = makeAddrAndKey("stranger");
        refused(leave(strangerKey, "Issue", TOPIC, keccak256(abi.encode(items()))));
        refused(leave(legacyKey, "Issue", TOPIC, keccak256(abi.encode(items())))); // a key of another type
        assertFalse(isHostedValid(identity, word));
        vm.prank(operator);
        issuer.issue(TOPIC, items(), good);
        assertTrue(isHostedValid(identity, word));
    }

    function test_ManagersSignatureDoesNotCount() public {
        (address other, uint256 otherKey) = makeAddrAndKey("other manager");
        vm.prank(manager);
        issuer.addKey(keyOf(other), MANAGEMENT, ECDSA);
        refused(leave(otherKey, "Issue", TOPIC, keccak256(abi.encode(items()))));
    }

    function test_CoversEverything() public {
        IClaimHost.Authorization memory good = leaveFor(items());
        vm.startPrank(operator);
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.issue(TOPIC + 1, items(), good);
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.issue(TOPIC, one(stranger, word), good);
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.issue(TOPIC, one(address(identity), wordUntil(0, NOW + 5)), good);
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.issue(TOPIC, items(), IClaimHost.Authorization(good.nonce + 1, good.deadline, good.signature));
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.issue(TOPIC, items(), IClaimHost.Authorization(good.nonce, good.deadline + 1, good.signature));
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.onboardHosted(TOPIC, items(), good);
        vm.stopPrank();
    }

    /// @dev One signature per kind of batch: consent to issue is no consent to revoke, nor the other way round.
    function test_KindsAreApart() public {
        address[] memory list = oneOf(address(identity));
        IClaimHost.Authorization memory asIssue = leave(signerKey, "Issue", TOPIC, keccak256(abi.encode(list)));
        vm.prank(operator);
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        issuer.revokeHosted(TOPIC, list, asIssue);
    }

    function test_NoReplay() public {
        IClaimHost.Authorization memory good = leaveFor(items());
        vm.startPrank(operator);
        issuer.issue(TOPIC, items(), good);
        vm.expectRevert(abi.encodeWithSelector(IClaimHost.NonceUsed.selector, signer, good.nonce));
        issuer.issue(TOPIC, items(), good);
        vm.stopPrank();
        assertTrue(issuer.isNonceUsed(signer, good.nonce));
    }

    function test_NoReplayAtAnotherIssuerOrChain() public {
        IClaimHost.Authorization memory good = leaveFor(items());
        IClaimIssuer other = newIssuer();
        vm.prank(operator);
        vm.expectRevert(IClaimHost.NotAuthorized.selector);
        other.issue(TOPIC, items(), good);
        vm.chainId(block.chainid + 1);
        refused(good);
    }

    function test_Deadline() public {
        IClaimHost.Authorization memory good = leaveFor(items());
        vm.warp(good.deadline + 1);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IClaimHost.AuthorizationExpired.selector, good.deadline));
        issuer.issue(TOPIC, items(), good);
        vm.warp(good.deadline);
        vm.prank(operator);
        issuer.issue(TOPIC, items(), good);
        assertTrue(isHostedValid(identity, word));
    }

    function testFuzz_BentSignatureIsRefused(uint256 at, uint8 bend) public {
        vm.assume(bend != 0);
        IClaimHost.Authorization memory bent = leaveFor(items());
        bent.signature[at % 64] ^= bytes1(bend);
        refused(bent);
    }

    function test_Cancelled() public {
        address guardian = makeAddr("guardian");
        vm.prank(manager);
        issuer.setGuardian(guardian, true);
        address[3] memory may = [signer, guardian, manager];
        for (uint256 i = 0; i < 3; ++i) {
            IClaimHost.Authorization memory good = leaveFor(items());
            vm.prank(stranger);
            vm.expectRevert(IClaimSigners.SenderIsNotGuardian.selector);
            issuer.cancelAuthorization(signer, good.nonce);
            vm.expectEmit(address(issuer));
            emit IClaimHost.AuthorizationCancelled(signer, good.nonce);
            vm.prank(may[i]);
            issuer.cancelAuthorization(signer, good.nonce);
            vm.prank(operator);
            vm.expectRevert(abi.encodeWithSelector(IClaimHost.NonceUsed.selector, signer, good.nonce));
            issuer.issue(TOPIC, items(), good);
        }
    }

    function test_RevertWhen_TopicZero() public {
        IClaimHost.Authorization memory good = leave(signerKey, "Issue", 0, keccak256(abi.encode(items())));
        vm.prank(operator);
        vm.expectRevert(IERC735.ZeroTopic.selector);
        issuer.issue(0, items(), good);
    }

    function testFuzz_WordMustBeCurrent(bytes32 any) public {
        vm.recordLogs();
        issue(one(address(identity), any));
        bool current = ClaimWord.isCurrent(any, 0, block.timestamp);
        assertEq(isHostedValid(identity, any), current);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs[logs.length - 1].topics[0] == IClaimIssuer.ClaimFailed.selector, !current);
    }

    /// @dev A batch that was signed before a revocation brings nothing back after it.
    function test_LateBatchBringsNothingBack() public {
        IClaimHost.Authorization memory late = leaveFor(items());
        vm.startPrank(operator);
        issuer.revokeSubject(address(identity), TOPIC);
        issuer.issue(TOPIC, items(), late);
        vm.stopPrank();
        assertFalse(isHostedValid(identity, word));
        assertShowsNothing(identity);
    }

    function test_BadItemsCostTheOthersNothing() public {
        address[5] memory bad =
            [address(new Burner()), address(new Bomb(true)), stranger, address(new Parrot()), address(issuer)];
        IClaimHost.Hosted[] memory list = new IClaimHost.Hosted[](7);
        for (uint256 i = 0; i < 5; ++i) {
            list[i] = IClaimHost.Hosted(bad[i], word);
        }
        list[5] = IClaimHost.Hosted(address(identity), bytes32(0));
        list[6] = IClaimHost.Hosted(address(identity), word);
        IClaimHost.Authorization memory good = leaveFor(list);
        for (uint256 i = 0; i < 6; ++i) {
            vm.expectEmit(address(issuer));
            emit IClaimIssuer.ClaimFailed(list[i].subject, TOPIC, i);
        }
        uint256 limit = list.length * (issuer.NOTE_GAS() + 50_000) + 150_000;
        vm.prank(operator);
        issuer.issue{gas: limit}(TOPIC, list, good);
        assertShows(identity, word);
        for (uint256 i = 0; i < 5; ++i) {
            assertFalse(issuer.isClaimValid(bad[i], TOPIC, "", abi.encode(word))); // nothing is hosted for it
        }
    }

    function test_BadItemsDoNotStopARevocation() public {
        address burner = address(new Burner());
        address[] memory list = new address[](3);
        (list[0], list[1], list[2]) = (burner, stranger, address(identity));
        issue(identity, word);
        revokeHosted(list);
        assertFalse(isHostedValid(identity, word));
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(issuer.epochOf(list[i], TOPIC), 1);
        }
    }

    /// @dev Were a revocation possible from within, the word written around it would undo it.
    function test_NoRevocationFromWithin() public {
        Revoker inside = new Revoker(issuer);
        vm.prank(manager);
        issuer.setOperator(address(inside), true);
        issue(one(address(inside), word));
        assertFalse(inside.revoked());
        assertEq(issuer.epochOf(address(inside), TOPIC), 0);
    }

    function testFuzz_UnderGassedBatchFakesNoFailure(uint256 gasLimit) public {
        address second = makeAddr("second");
        vm.prank(second);
        address other = factory.createFor(second, address(issuer));
        IClaimHost.Hosted[] memory list = new IClaimHost.Hosted[](2);
        list[0] = IClaimHost.Hosted(address(identity), word);
        list[1] = IClaimHost.Hosted(other, word);
        IClaimHost.Authorization memory good = leaveFor(list);
        vm.prank(operator);
        (bool success,) = address(issuer).call{gas: bound(gasLimit, 30_000, 400_000)}(
            abi.encodeCall(issuer.issue, (TOPIC, list, good))
        );
        assertEq(isHostedValid(identity, word), success);
        assertEq(isHostedValid(IIdentity(other), word), success);
    }

    /// @dev What is signed is hashed from the calldata as it came: a subject that is no address is refused, whoever signed it.
    function testFuzz_DirtySubjectIsRefused(uint96 dirt) public {
        vm.assume(dirt != 0);
        bytes32[4] memory dirty =
            [bytes32(uint256(0x20)), bytes32(uint256(1)), bytes32((uint256(dirt) << 160) | uint160(address(identity))), word];
        bytes32 hash = keccak256(abi.encode(dirty));
        IClaimHost.Authorization memory good = leave(signerKey, "Issue", TOPIC, hash);
        bytes memory call = abi.encodeCall(issuer.issue, (TOPIC, items(), good));
        // Selector, three heads, the length of the items, then the first subject.
        for (uint256 i = 0; i < 12; ++i) {
            call[4 + 4 * 32 + i] = bytes12(dirt)[i];
        }
        vm.prank(operator);
        (bool success, bytes memory answer) = address(issuer).call(call);
        assertEq(answer.length, 0); // refused when it was read: the signature is good
        assertFalse(success);
        assertFalse(isHostedValid(identity, word));
    }
}
