// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {IIdFactory} from "../../contracts/interfaces/IIdFactory.sol";
import {IIdentityFactory} from "../../contracts/interfaces/IIdentityFactory.sol";

contract LinksTest is BaseTest {
    address internal further = makeAddr("further");

    function test_LinkNeedsBothSides() public {
        IIdentity identity = newIdentity();
        vm.prank(further);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.LinkNotProposed.selector, further, address(identity)));
        factory.acceptLink(address(identity));
        vm.expectEmit(address(factory));
        emit IIdentityFactory.WalletLinkProposed(further, address(identity));
        vm.prank(holder);
        factory.proposeLink(further);
        assertEq(factory.getIdentity(further), address(0));
        vm.warp(NOW + 9);
        vm.prank(further);
        factory.acceptLink(address(identity));
        assertEq(factory.getIdentity(further), address(identity));
        assertEq(factory.linkedAt(further), NOW + 9);
        assertFalse(factory.isFirstWallet(further));
        assertEq(factory.getWallets(address(identity)).length, 2);
    }

    function test_RevertWhen_ProposerIsNoManager() public {
        IIdentity identity = newIdentity();
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.NotAllowedToLink.selector, stranger));
        factory.proposeLink(further);
        // A linked wallet that is no manager may not either.
        vm.prank(holder);
        factory.proposeLink(further);
        vm.startPrank(further);
        factory.acceptLink(address(identity));
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.NotAllowedToLink.selector, further));
        factory.proposeLink(stranger);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.NotAllowedToLink.selector, further));
        factory.unlinkWallet(holder);
    }

    function test_ProposalDiesWithItsMaker() public {
        IIdentity identity = newIdentity();
        vm.startPrank(holder);
        factory.proposeLink(further);
        identity.addKey(keyOf(stranger), MANAGEMENT, ECDSA);
        identity.removeKey(keyOf(holder), MANAGEMENT);
        vm.stopPrank();
        vm.prank(further);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.LinkNotProposed.selector, further, address(identity)));
        factory.acceptLink(address(identity));
    }

    function test_ProposalCanBeWithdrawn() public {
        IIdentity identity = newIdentity();
        vm.startPrank(holder);
        factory.proposeLink(further);
        factory.withdrawLink(further);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.LinkNotProposed.selector, further, address(identity)));
        factory.withdrawLink(further);
        vm.stopPrank();
        vm.prank(further);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.LinkNotProposed.selector, further, address(identity)));
        factory.acceptLink(address(identity));
    }

    function test_RevertWhen_ALinkedWalletIsProposedOrAccepts() public {
        IIdentity identity = newIdentity();
        vm.prank(holder);
        factory.proposeLink(further);
        vm.startPrank(further);
        factory.createFor(further, address(0));
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.WalletAlreadyLinkedToIdentity.selector, further));
        factory.acceptLink(address(identity));
        vm.stopPrank();
        vm.prank(holder);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.WalletAlreadyLinkedToIdentity.selector, further));
        factory.proposeLink(further);
    }

    function test_UnlinkByWalletOrManager() public {
        IIdentity identity = newIdentity();
        vm.prank(holder);
        factory.proposeLink(further);
        vm.prank(further);
        factory.acceptLink(address(identity));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.NotAllowedToLink.selector, stranger));
        factory.unlinkWallet(further);
        vm.expectEmit(address(factory));
        emit IIdFactory.WalletUnlinked(further, address(identity));
        vm.prank(holder);
        factory.unlinkWallet(further);
        vm.prank(further);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.WalletNotLinked.selector, further));
        factory.unlinkWallet(further);
        vm.prank(holder);
        factory.unlinkWallet(holder);
        assertEq(factory.getWallets(address(identity)).length, 0);
        assertEq(factory.linkedAt(holder), 0);
    }

    /// @dev The first wallet, once gone, comes back by both sides too: the identity proposes it at its manager's order.
    function test_FirstWalletComesBackByBothSides() public {
        IIdentity identity = newIdentity();
        vm.startPrank(holder);
        factory.unlinkWallet(holder);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.IdentityExists.selector, address(identity)));
        factory.createFor(holder, address(issuer));
        identity.execute(address(factory), 0, abi.encodeCall(factory.proposeLink, (holder)));
        factory.acceptLink(address(identity));
        vm.stopPrank();
        assertEq(factory.getIdentity(holder), address(identity));
        assertTrue(factory.isFirstWallet(holder));
    }
}
