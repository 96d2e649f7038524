// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";

contract KeysTest is BaseTest {
    uint256 internal constant ENCRYPTION = 4;
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
        (, uint256 keyType,) = identity.getKey(keyOf(holder));
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
}
