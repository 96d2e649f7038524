// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {IClaimIssuerRegistry} from "../../contracts/interfaces/IClaimIssuerRegistry.sol";
import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

contract RegistryListsTest is BaseTest {
    function setUp() public override {
        super.setUp();
        vm.startPrank(owner);
    }

    function numbered(uint256 count) internal pure returns (uint256[] memory list) {
        list = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = i + 1;
        }
    }

    function test_ListsAsTRex() public {
        address other = makeAddr("other issuer");
        vm.expectEmit(address(registry));
        emit IClaimIssuerRegistry.TrustedIssuerAdded(other, numbered(2));
        registry.addTrustedIssuer(other, numbered(2));
        assertTrue(registry.isTrustedIssuer(other));
        assertFalse(registry.isTrustedIssuer(stranger));
        assertEq(registry.getTrustedIssuers().length, 2);
        assertEq(registry.getTrustedIssuerClaimTopics(other), numbered(2));
        assertTrue(registry.hasClaimTopic(other, 2));
        assertEq(registry.getTrustedIssuersForClaimTopic(2)[0], other);
        vm.expectEmit(address(registry));
        emit IClaimIssuerRegistry.ClaimTopicsUpdated(other, numbered(1));
        registry.updateIssuerClaimTopics(other, numbered(1));
        assertFalse(registry.hasClaimTopic(other, 2));
        assertEq(registry.getTrustedIssuersForClaimTopic(2).length, 0);
        vm.expectEmit(address(registry));
        emit IClaimIssuerRegistry.TrustedIssuerRemoved(other);
        registry.removeTrustedIssuer(other);
        assertFalse(registry.hasClaimTopic(other, 1));
        vm.expectRevert(abi.encodeWithSelector(IClaimIssuerRegistry.IssuerNotTrusted.selector, other));
        registry.getTrustedIssuerClaimTopics(other);
    }

    function test_RevertWhen_ListsAreWrong() public {
        vm.expectRevert(IClaimIssuerRegistry.ZeroAddress.selector);
        registry.addTrustedIssuer(address(0), numbered(1));
        vm.expectRevert(abi.encodeWithSelector(IClaimIssuerRegistry.IssuerAlreadyTrusted.selector, issuer));
        registry.addTrustedIssuer(address(issuer), numbered(1));
        vm.expectRevert(IClaimIssuerRegistry.NoTopics.selector);
        registry.addTrustedIssuer(stranger, numbered(0));
        vm.expectRevert(IClaimIssuerRegistry.TooManyTopics.selector);
        registry.addTrustedIssuer(stranger, numbered(16));
        vm.expectRevert(IClaimIssuerRegistry.ZeroTopic.selector);
        registry.addTrustedIssuer(stranger, topics(0));
        uint256[] memory twice = new uint256[](2);
        (twice[0], twice[1]) = (TOPIC, TOPIC);
        vm.expectRevert(abi.encodeWithSelector(IClaimIssuerRegistry.TopicRepeated.selector, TOPIC));
        registry.addTrustedIssuer(stranger, twice);
        vm.expectRevert(abi.encodeWithSelector(IClaimIssuerRegistry.IssuerNotTrusted.selector, stranger));
        registry.removeTrustedIssuer(stranger);
        vm.expectRevert(abi.encodeWithSelector(IClaimIssuerRegistry.IssuerNotTrusted.selector, stranger));
        registry.updateIssuerClaimTopics(stranger, numbered(1));
    }

    function test_Limits() public {
        for (uint160 i = 1; i < 50; ++i) {
            registry.addTrustedIssuer(address(i), numbered(15));
        }
        vm.expectRevert(IClaimIssuerRegistry.TooManyIssuers.selector);
        registry.addTrustedIssuer(stranger, numbered(1));
        for (uint160 i = 1; i < 10; ++i) {
            registry.addFactory(address(i));
        }
        vm.expectRevert(IClaimIssuerRegistry.TooManyFactories.selector);
        registry.addFactory(stranger);
    }

    function test_FactoriesKeepTheirOrder() public {
        registry.addFactory(address(1));
        registry.addFactory(address(2));
        vm.expectRevert(abi.encodeWithSelector(IClaimIssuerRegistry.FactoryAlreadyTrusted.selector, address(1)));
        registry.addFactory(address(1));
        vm.expectRevert(IClaimIssuerRegistry.ZeroAddress.selector);
        registry.addFactory(address(0));
        registry.removeFactory(address(factory));
        assertEq(registry.factories()[0], address(1));
        assertEq(registry.factories()[1], address(2));
        assertEq(registry.factories().length, 2);
        vm.expectRevert(abi.encodeWithSelector(IClaimIssuerRegistry.FactoryNotTrusted.selector, address(factory)));
        registry.removeFactory(address(factory));
    }

    function testFuzz_MovedFactoryStandsWhereItWasSent(uint256 from, uint256 to) public {
        for (uint160 i = 1; i < 5; ++i) {
            registry.addFactory(address(i));
        }
        address[] memory before = registry.factories();
        (from, to) = (bound(from, 0, 4), bound(to, 0, 4));
        vm.expectEmit(address(registry));
        emit IClaimIssuerRegistry.FactoryMoved(before[from], to);
        registry.moveFactory(before[from], to);
        address[] memory moved = registry.factories();
        assertEq(moved[to], before[from]);
        uint256 next; // the others in the order they were in
        for (uint256 i = 0; i < 5; ++i) {
            if (i == from) continue;
            if (next == to) ++next;
            assertEq(moved[next++], before[i]);
        }
        vm.expectRevert(abi.encodeWithSelector(IClaimIssuerRegistry.PositionOutOfRange.selector, 5, 5));
        registry.moveFactory(address(1), 5);
        vm.expectRevert(abi.encodeWithSelector(IClaimIssuerRegistry.FactoryNotTrusted.selector, stranger));
        registry.moveFactory(stranger, 0);
    }

    function testFuzz_OwnerOnlyAndInTwoSteps(address sender) public {
        vm.assume(sender != owner);
        vm.stopPrank();
        vm.startPrank(sender);
        bytes memory refusal = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, sender);
        vm.expectRevert(refusal);
        registry.addTrustedIssuer(sender, numbered(1));
        vm.expectRevert(refusal);
        registry.removeTrustedIssuer(address(issuer));
        vm.expectRevert(refusal);
        registry.updateIssuerClaimTopics(address(issuer), numbered(1));
        vm.expectRevert(refusal);
        registry.addFactory(sender);
        vm.expectRevert(refusal);
        registry.removeFactory(address(factory));
        vm.expectRevert(refusal);
        registry.moveFactory(address(factory), 0);
        vm.stopPrank();
        vm.prank(owner);
        Ownable2Step(address(registry)).transferOwnership(sender);
        assertEq(Ownable(address(registry)).owner(), owner);
    }
}
