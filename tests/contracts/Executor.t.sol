// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Reapprover} from "./Hostile.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

contract ExecutorTest is BaseTest {
    IIdentity internal identity;
    address internal actor = makeAddr("actor");
    address internal claimant = makeAddr("claimant");
    address internal target = makeAddr("target");

    function setUp() public override {
        super.setUp();
        identity = newIdentity();
        vm.startPrank(holder);
        identity.addKey(keyOf(actor), ACTION, ECDSA);
        identity.addKey(keyOf(claimant), CLAIM, ECDSA);
        vm.stopPrank();
        vm.deal(address(identity), 10);
        vm.deal(holder, 10);
        vm.deal(claimant, 10);
    }

    function test_ActionKeyRunsAtOnce() public {
        vm.expectEmit(address(identity));
        emit IERC734.ExecutionRequested(0, target, 4, "");
        vm.expectEmit(address(identity));
        emit IERC734.Approved(0, true);
        vm.expectEmit(address(identity));
        emit IERC734.Executed(0, target, 4, "");
        vm.prank(actor);
        identity.execute(target, 4, "");
        assertEq(target.balance, 4);
        vm.prank(holder);
        vm.expectRevert(IERC734.RequestAlreadyExecuted.selector);
        identity.approve(0, true);
    }

    function test_ManagerReachesTheIdentityItself() public {
        vm.prank(holder);
        identity.execute(address(identity), 0, abi.encodeCall(identity.addKey, (keyOf(target), ACTION, ECDSA)));
        assertTrue(identity.keyHasPurpose(keyOf(target), ACTION));
    }

    function test_FailedCallIsSpentAndKeepsItsEther() public {
        vm.expectEmit(address(identity));
        emit IERC734.ExecutionFailed(0, address(factory), 3, "nonsense");
        vm.prank(holder);
        identity.execute{value: 3}(address(factory), 3, "nonsense");
        assertEq(address(identity).balance, 13);
    }

    function testFuzz_RevertWhen_Stranger(address sender, bytes calldata data) public {
        vm.assume(sender != holder && sender != actor && sender != claimant && sender != address(identity));
        vm.prank(sender);
        vm.expectRevert(IERC734.SenderDoesNotHaveActionKey.selector);
        identity.execute(target, 0, data);
    }

    /// @dev The escape of ONCHAINID v3: a lesser key has the identity make it a manager.
    function test_LesserKeysCannotMakeThemselvesManagers() public {
        address[2] memory lesser = [actor, claimant];
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory data = abi.encodeCall(identity.addKey, (keyOf(lesser[i]), MANAGEMENT, ECDSA));
            vm.startPrank(lesser[i]);
            uint256 id = identity.execute(address(identity), 0, data);
            assertFalse(identity.keyHasPurpose(keyOf(lesser[i]), MANAGEMENT));
            vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
            identity.approve(id, true);
            vm.stopPrank();
        }
    }

    function testFuzz_LesserKeysNeverReachTheIdentity(bytes calldata data, bool asActor) public {
        vm.recordLogs();
        vm.prank(asActor ? actor : claimant);
        identity.execute(address(identity), 0, data);
        assertEq(vm.getRecordedLogs().length, 1); // ExecutionRequested and nothing after it
    }

    function test_ActionNeverTargetsAdderOrFactory() public {
        address[2] memory guarded = [address(issuer), address(factory)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.startPrank(actor);
            uint256 id = identity.execute(guarded[i], 0, abi.encodeCall(factory.proposeLink, (actor)));
            vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
            identity.approve(id, true);
            vm.stopPrank();
        }
    }

    function test_PendingRequestRunsOnceWhenApproved() public {
        vm.prank(claimant);
        uint256 id = identity.execute(target, 2, "");
        assertEq(target.balance, 0);
        vm.prank(claimant);
        vm.expectRevert(IERC734.SenderDoesNotHaveActionKey.selector);
        identity.approve(id, true);
        vm.prank(actor);
        assertTrue(identity.approve(id, true));
        assertEq(target.balance, 2);
        vm.prank(holder);
        vm.expectRevert(IERC734.RequestAlreadyExecuted.selector);
        identity.approve(id, true);
        assertEq(target.balance, 2);
    }

    function test_RejectionIsFinal() public {
        vm.prank(claimant);
        uint256 id = identity.execute(target, 2, "");
        vm.startPrank(holder);
        vm.expectEmit(address(identity));
        emit IERC734.Approved(id, false);
        identity.approve(id, false);
        vm.expectRevert(IERC734.RequestAlreadyExecuted.selector);
        identity.approve(id, true);
        vm.expectRevert(IERC734.InvalidRequestId.selector);
        identity.approve(id + 1, true);
    }

    function test_RevertWhen_PendingRequestBringsEther() public {
        vm.prank(claimant);
        vm.expectRevert(IERC734.PendingRequestWithValue.selector);
        identity.execute{value: 1}(target, 1, "");
    }

    /// @dev The hole of ONCHAINID 2.2.1: one request, run three times.
    function test_ReentrantApproveRunsOnce() public {
        Reapprover approver = new Reapprover();
        approver.aim(identity);
        vm.prank(holder);
        identity.addKey(keyOf(address(approver)), ACTION, ECDSA);
        vm.prank(claimant);
        uint256 id = identity.execute(address(approver), 1, abi.encodeCall(approver.run, ()));
        approver.approve(id);
        assertEq(approver.runs(), 1);
        assertFalse(approver.again());
        assertEq(address(approver).balance, 1);
    }
}
