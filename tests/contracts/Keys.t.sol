// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Reapprover} from "./Hostile.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

contract KeysTest is BaseTest {
    IIdentity internal identity;
    address internal actor = makeAddr("actor");
    address internal claimant = makeAddr("claimant");
    address internal second = makeAddr("second");

    function setUp() public override {
        super.setUp();
        identity = newIdentity();
        vm.startPrank(holder);
        identity.addKey(keyOf(actor), ACTION, ECDSA);
        identity.addKey(keyOf(claimant), CLAIM, ECDSA);
        vm.stopPrank();
    }

    function test_FirstManagerStandsWithoutStorage() public view {
        (uint256[] memory purposes, uint256 keyType, bytes32 key) = identity.getKey(keyOf(holder));
        assertEq(purposes.length, 1);
        assertEq(purposes[0], MANAGEMENT);
        assertEq(keyType, ECDSA);
        assertEq(key, keyOf(holder));
        assertEq(identity.getKeysByPurpose(MANAGEMENT).length, 1);
        assertTrue(identity.keyHasPurpose(keyOf(holder), 77));
        assertFalse(identity.keyHasPurpose(keyOf(stranger), MANAGEMENT));
    }

    function test_UnknownKeyIsEmpty() public view {
        (uint256[] memory purposes, uint256 keyType, bytes32 key) = identity.getKey(keyOf(stranger));
        assertEq(purposes.length + keyType + uint256(key), 0);
    }

    function test_ImplementationHasNoManager() public {
        IIdentity bare = IIdentity(factory.implementation());
        assertEq(bare.getKeysByPurpose(MANAGEMENT).length, 0);
        assertEq(bare.adder(), address(0));
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        bare.addKey(keyOf(stranger), MANAGEMENT, ECDSA);
        vm.expectRevert(IIdentity.InitialKeyAlreadySetup.selector);
        bare.initialize(stranger);
    }

    function test_RevertWhen_Initialized() public {
        vm.prank(holder);
        vm.expectRevert(IIdentity.InitialKeyAlreadySetup.selector);
        identity.initialize(stranger);
    }

    function test_RemovedFirstManagerStaysRemoved() public {
        vm.startPrank(holder);
        identity.addKey(keyOf(second), MANAGEMENT, ECDSA);
        vm.expectEmit(address(identity));
        emit IERC734.KeyRemoved(keyOf(holder), MANAGEMENT, ECDSA);
        identity.removeKey(keyOf(holder), MANAGEMENT);
        vm.stopPrank();
        assertFalse(identity.keyHasPurpose(keyOf(holder), MANAGEMENT));
        assertEq(identity.getKeysByPurpose(MANAGEMENT)[0], keyOf(second));

        vm.prank(second);
        identity.addKey(keyOf(holder), CLAIM, CLAIMWRIGHT);
        assertFalse(identity.keyHasPurpose(keyOf(holder), MANAGEMENT));
        vm.prank(second);
        identity.removeKey(keyOf(holder), CLAIM);
        assertFalse(identity.keyHasPurpose(keyOf(holder), MANAGEMENT));
        (, uint256 keyType, ) = identity.getKey(keyOf(holder));
        assertEq(keyType, 0);
    }

    function test_FirstManagerMayHaveFurtherPurposes() public {
        vm.startPrank(holder);
        identity.addKey(keyOf(holder), ENCRYPTION, ECDSA);
        assertEq(identity.getKeyPurposes(keyOf(holder)).length, 2);
        identity.removeKey(keyOf(holder), ENCRYPTION);
        vm.stopPrank();
        assertEq(identity.getKeyPurposes(keyOf(holder)).length, 1);
        assertTrue(identity.keyHasPurpose(keyOf(holder), MANAGEMENT));
    }

    uint256 private constant ENCRYPTION = 4;

    function test_RevertWhen_LastManagerGoes() public {
        vm.startPrank(holder);
        vm.expectRevert(IERC734.LastManagementKey.selector);
        identity.removeKey(keyOf(holder), MANAGEMENT);
        identity.addKey(keyOf(second), MANAGEMENT, ECDSA);
        identity.removeKey(keyOf(holder), MANAGEMENT);
        vm.stopPrank();
        vm.prank(second);
        vm.expectRevert(IERC734.LastManagementKey.selector);
        identity.removeKey(keyOf(second), MANAGEMENT);
    }

    function test_RevertWhen_KeyIsZero() public {
        vm.startPrank(holder);
        vm.expectRevert(IERC734.ZeroKey.selector);
        identity.addKey(bytes32(0), CLAIM, ECDSA);
        vm.expectRevert(IERC734.ZeroKey.selector);
        identity.addKey(keyOf(address(0)), CLAIM, ECDSA);
    }

    function test_RevertWhen_KeyIsThereOrNot() public {
        vm.startPrank(holder);
        vm.expectRevert(abi.encodeWithSelector(IERC734.KeyAlreadyHasPurpose.selector, keyOf(actor), ACTION));
        identity.addKey(keyOf(actor), ACTION, ECDSA);
        vm.expectRevert(abi.encodeWithSelector(IERC734.KeyAlreadyHasPurpose.selector, keyOf(holder), MANAGEMENT));
        identity.addKey(keyOf(holder), MANAGEMENT, ECDSA);
        vm.expectRevert(abi.encodeWithSelector(IERC734.KeyTypeMismatch.selector, keyOf(actor), CLAIMWRIGHT));
        identity.addKey(keyOf(actor), CLAIM, CLAIMWRIGHT);
        vm.expectRevert(abi.encodeWithSelector(IERC734.KeyNotRegistered.selector, keyOf(stranger)));
        identity.removeKey(keyOf(stranger), ACTION);
        vm.expectRevert(abi.encodeWithSelector(IERC734.KeyDoesNotHavePurpose.selector, keyOf(actor), CLAIM));
        identity.removeKey(keyOf(actor), CLAIM);
    }

    function testFuzz_RevertWhen_PurposeOutOfRange(uint256 purpose) public {
        vm.assume(purpose == 0 || purpose > 127);
        vm.prank(holder);
        vm.expectRevert(abi.encodeWithSelector(IERC734.PurposeOutOfRange.selector, purpose));
        identity.addKey(keyOf(stranger), purpose, ECDSA);
        assertFalse(identity.keyHasPurpose(keyOf(actor), purpose));
    }

    function testFuzz_OnlyManagersChangeKeys(address sender, bytes32 key, uint256 purpose) public {
        vm.assume(sender != holder && sender != address(identity));
        vm.startPrank(sender);
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        identity.addKey(key, purpose, ECDSA);
        vm.expectRevert(IERC734.SenderDoesNotHaveManagementKey.selector);
        identity.removeKey(keyOf(actor), ACTION);
    }

    /// @dev Whatever the order of adding and removing, list and record agree, and a manager is left.
    function testFuzz_ListsAgreeWithRecords(uint256 moves) public {
        bytes32[4] memory keys = [keyOf(holder), keyOf(second), keyOf(actor), keyOf(claimant)];
        for (uint256 i = 0; i < 24; ++i) {
            bytes32 key = keys[(moves >> (5 * i)) % 4];
            uint256 purpose = 1 + ((moves >> (5 * i + 2)) % 3);
            vm.prank(address(identity)); // the identity itself may always
            if ((moves >> (5 * i + 4)) % 2 == 0) try identity.addKey(key, purpose, ECDSA) {} catch {}
            else try identity.removeKey(key, purpose) {} catch {}
        }
        assertGt(identity.getKeysByPurpose(MANAGEMENT).length, 0);
        for (uint256 purpose = 1; purpose <= 3; ++purpose) {
            bytes32[] memory listed = identity.getKeysByPurpose(purpose);
            uint256 count = 0;
            for (uint256 k = 0; k < 4; ++k) if (recordHas(keys[k], purpose)) ++count;
            assertEq(listed.length, count);
            for (uint256 k = 0; k < listed.length; ++k) assertTrue(recordHas(listed[k], purpose));
        }
    }

    function recordHas(bytes32 key, uint256 purpose) private view returns (bool) {
        uint256[] memory purposes = identity.getKeyPurposes(key);
        for (uint256 i = 0; i < purposes.length; ++i) if (purposes[i] == purpose) return true;
        return false;
    }
}

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
