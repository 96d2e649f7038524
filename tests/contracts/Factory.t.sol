// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {Wallet} from "./Hostile.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {IIdFactory} from "../../contracts/interfaces/IIdFactory.sol";
import {IIdentityFactory} from "../../contracts/interfaces/IIdentityFactory.sol";
import {HandedOver} from "../../contracts/HandedOver.sol";
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
        emit IIdFactory.Deployed(predicted);
        vm.expectEmit(address(factory));
        emit IIdFactory.WalletLinked(holder, predicted);
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

    /// @dev Says what the three questions say that it stands for, whatever is there.
    function testFuzz_StandingsAreThoseOfEachWallet(address other, uint256 topic) public {
        vm.assume(other != holder && other != further);
        address made = address(newIdentity());
        vm.startPrank(manager);
        issuer.revokeSubject(made, TOPIC);
        issuer.revokeSubject(factory.predict(further, address(issuer)), topic);
        vm.stopPrank();
        address[] memory wallets = new address[](4);
        (wallets[0], wallets[1], wallets[2], wallets[3]) = (holder, further, other, holder);
        uint256[] memory topics = new uint256[](4);
        (topics[0], topics[1], topics[2], topics[3]) = (TOPIC, topic, topic, topic);
        (address[] memory identities, uint256[] memory epochs) = factory.standings(address(issuer), wallets, topics);
        assertEq(identities.length, 4);
        assertEq(epochs.length, 4);
        for (uint256 i = 0; i < 4; ++i) {
            address linked = factory.getIdentity(wallets[i]);
            assertEq(identities[i], linked == address(0) ? factory.predict(wallets[i], address(issuer)) : linked);
            assertEq(epochs[i], issuer.epochOf(identities[i], topics[i]));
        }
        assertEq(identities[0], made);
        assertEq(epochs[0], 1);
        assertEq(epochs[1], 1);
    }

    function test_RevertWhen_StandingsAreAskedWithListsOfTwoLengths() public {
        vm.expectRevert(IIdentityFactory.LengthMismatch.selector);
        factory.standings(address(issuer), new address[](2), new uint256[](1));
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

    function test_OwnershipIsNeverRenounced() public {
        for (uint256 i = 0; i < 2; ++i) {
            Ownable owned = Ownable(i == 0 ? address(factory) : address(registry));
            vm.prank(owned.owner());
            vm.expectRevert(HandedOver.OwnershipCannotBeRenounced.selector);
            owned.renounceOwnership();
        }
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
}
