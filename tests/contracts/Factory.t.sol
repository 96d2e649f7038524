// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Wallet} from "./Hostile.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {IIdentityFactory} from "../../contracts/interfaces/IIdentityFactory.sol";
import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

contract FactoryTest is BaseTest {
    address internal further = makeAddr("further");

    function consentDigest(address wallet, address adder, uint256 deadline) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Claimwright IdentityFactory"),
                keccak256("1"),
                block.chainid,
                address(factory)
            )
        );
        bytes32 typeHash = keccak256("Consent(address wallet,address adder,uint256 deadline)");
        return keccak256(abi.encodePacked(hex"1901", domain, keccak256(abi.encode(typeHash, wallet, adder, deadline))));
    }

    function test_WalletMakesItsOwn() public {
        address predicted = factory.predict(holder, address(issuer));
        assertFalse(factory.isIdentity(predicted));
        vm.expectEmit(address(factory));
        emit IIdentityFactory.Deployed(predicted);
        vm.expectEmit(address(factory));
        emit IIdentityFactory.WalletLinked(holder, predicted);
        IIdentity identity = newIdentity();
        assertEq(address(identity), predicted);
        assertEq(identity.adder(), address(issuer));
        assertTrue(identity.keyHasPurpose(keyOf(holder), MANAGEMENT));
        assertEq(factory.getIdentity(holder), predicted);
        assertEq(factory.getWallets(predicted)[0], holder);
        assertEq(factory.linkedAt(holder), NOW);
        assertTrue(factory.isFirstWallet(holder));
        assertTrue(factory.isIdentity(predicted));
    }

    function testFuzz_AddressDependsOnWalletAndAdder(address a, address b, address c, address d) public view {
        vm.assume(a != c || b != d);
        assertNotEq(factory.predict(a, b), factory.predict(c, d));
    }

    function testFuzz_IsIdentityNeverReverts(address any, bytes calldata code) public {
        assertFalse(factory.isIdentity(any));
        vm.etch(further, code);
        assertFalse(factory.isIdentity(further));
    }

    /// @dev A copy of a true identity's code at another address is none.
    function test_CopiedCodeIsNoIdentity() public {
        vm.etch(further, address(newIdentity()).code);
        assertFalse(factory.isIdentity(further));
        assertTrue(IIdentity(further).keyHasPurpose(keyOf(holder), MANAGEMENT));
    }

    function test_RegisteredDeployerNamesItself() public {
        vm.prank(address(issuer));
        factory.createFor(holder, address(issuer));
        vm.startPrank(address(issuer));
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.NotAllowedToCreate.selector, address(issuer)));
        factory.createFor(further, stranger);
        vm.expectRevert(IIdentityFactory.ZeroAddress.selector);
        factory.createFor(address(0), address(issuer));
    }

    function testFuzz_RevertWhen_NotAllowedToCreate(address sender, address adder) public {
        vm.assume(sender != holder && sender != address(issuer));
        vm.prank(sender);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.NotAllowedToCreate.selector, sender));
        factory.createFor(holder, adder);
    }

    function test_RevertWhen_DeployerIsStruckOff() public {
        vm.prank(owner);
        factory.setDeployer(address(issuer), false);
        vm.prank(address(issuer));
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.NotAllowedToCreate.selector, address(issuer)));
        factory.createFor(holder, address(issuer));
    }

    function test_OwnerOnlyAndInTwoSteps() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(this)));
        factory.setDeployer(stranger, true);
        vm.prank(owner);
        Ownable2Step(address(factory)).transferOwnership(stranger);
        assertEq(Ownable(address(factory)).owner(), owner);
        vm.prank(stranger);
        Ownable2Step(address(factory)).acceptOwnership();
        assertEq(Ownable(address(factory)).owner(), stranger);
    }

    function test_RevertWhen_WalletIsLinked() public {
        newIdentity();
        vm.prank(holder);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.WalletAlreadyLinkedToIdentity.selector, holder));
        factory.createFor(holder, stranger);
    }

    function test_ConsentInBothLengths() public {
        bytes32 digest = consentDigest(holder, address(issuer), NOW);
        uint256 state = vm.snapshotState();
        factory.createForWithConsent(holder, address(issuer), NOW, full(holderKey, digest));
        vm.revertToState(state);
        factory.createForWithConsent(holder, address(issuer), NOW, compact(holderKey, digest));
        assertTrue(factory.isFirstWallet(holder));
    }

    function test_ConsentWorksOnce() public {
        bytes memory signature = full(holderKey, consentDigest(holder, address(issuer), NOW));
        factory.createForWithConsent(holder, address(issuer), NOW, signature);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.WalletAlreadyLinkedToIdentity.selector, holder));
        factory.createForWithConsent(holder, address(issuer), NOW, signature);
        vm.prank(holder);
        factory.unlinkWallet(holder);
        address identity = factory.predict(holder, address(issuer));
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.IdentityExists.selector, identity));
        factory.createForWithConsent(holder, address(issuer), NOW, signature);
    }

    function test_RevertWhen_ConsentIsNotForThis() public {
        bytes memory signature = full(holderKey, consentDigest(holder, address(issuer), NOW));
        vm.expectRevert(IIdentityFactory.InvalidConsent.selector);
        factory.createForWithConsent(holder, stranger, NOW, signature);
        vm.expectRevert(IIdentityFactory.InvalidConsent.selector);
        factory.createForWithConsent(further, address(issuer), NOW, signature);
        vm.expectRevert(IIdentityFactory.InvalidConsent.selector);
        factory.createForWithConsent(holder, address(issuer), NOW + 1, signature);
        vm.expectRevert(IIdentityFactory.InvalidConsent.selector);
        factory.createForWithConsent(address(0), address(issuer), NOW, "");
        vm.chainId(2);
        vm.expectRevert(IIdentityFactory.InvalidConsent.selector);
        factory.createForWithConsent(holder, address(issuer), NOW, signature);
        vm.chainId(31337);
        vm.warp(NOW + 1);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.Expired.selector, NOW));
        factory.createForWithConsent(holder, address(issuer), NOW, signature);
    }

    function test_ContractWalletConsents() public {
        Wallet wallet = new Wallet();
        vm.expectRevert(IIdentityFactory.InvalidConsent.selector);
        factory.createForWithConsent(address(wallet), address(issuer), NOW, "");
        wallet.consent(consentDigest(address(wallet), address(issuer), NOW));
        factory.createForWithConsent(address(wallet), address(issuer), NOW, "");
        assertTrue(factory.isFirstWallet(address(wallet)));
    }

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
        emit IIdentityFactory.WalletUnlinked(further, address(identity));
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

    /// @dev Whatever wallets and managers do, and in whatever order: one wallet, one identity, and both lists agree.
    function testFuzz_LinksAgree(uint256 moves) public {
        address[3] memory wallets = [holder, further, stranger];
        address[3] memory identities;
        for (uint256 w = 0; w < 3; ++w) {
            identities[w] = factory.predict(wallets[w], address(issuer));
        }
        for (uint256 i = 0; i < 30; ++i) {
            address wallet = wallets[(moves >> (8 * i)) % 3];
            address other = wallets[(moves >> (8 * i + 2)) % 3];
            address identity = identities[(moves >> (8 * i + 4)) % 3];
            uint256 kind = (moves >> (8 * i + 6)) % 4;
            bytes memory data = kind == 0
                ? abi.encodeCall(factory.createFor, (wallet, address(issuer)))
                : kind == 1
                    ? abi.encodeCall(factory.proposeLink, (other))
                    : kind == 2
                        ? abi.encodeCall(factory.acceptLink, (identity))
                        : abi.encodeCall(factory.unlinkWallet, (other));
            address linked = factory.getIdentity(wallet);
            vm.prank(wallet);
            (bool success,) = address(factory).call(data);
            // Nobody is linked to another identity without being unlinked first, and nobody but the wallet itself links it.
            if (success && kind != 3 && linked != address(0)) assertEq(factory.getIdentity(wallet), linked);
        }
        for (uint256 n = 0; n < 3; ++n) {
            address[] memory listed = factory.getWallets(identities[n]);
            uint256 count = 0;
            for (uint256 w = 0; w < 3; ++w) {
                if (factory.getIdentity(wallets[w]) == identities[n]) ++count;
                assertEq(factory.linkedAt(wallets[w]) == 0, factory.getIdentity(wallets[w]) == address(0));
            }
            assertEq(listed.length, count);
            for (uint256 k = 0; k < listed.length; ++k) {
                assertEq(factory.getIdentity(listed[k]), identities[n]);
            }
        }
    }
}
