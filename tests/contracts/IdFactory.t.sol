// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {BaseTest} from "./Base.t.sol";
import {Parrot} from "./Hostile.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";
import {IIdFactory} from "../../contracts/interfaces/IIdFactory.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {IIdentityFactory} from "../../contracts/interfaces/IIdentityFactory.sol";

/// @dev The factory as ONCHAINID's callers know it, and what it does in bulk.
contract IdFactoryTest is BaseTest {
    function test_SaltedIdentity() public {
        vm.prank(owner);
        address identity = factory.createIdentity(holder, "salt");
        assertTrue(factory.isIdentity(identity));
        assertTrue(factory.isFirstWallet(holder));
        assertEq(factory.getIdentity(holder), identity);
        assertEq(factory.getWallets(identity)[0], holder);
        assertTrue(factory.isSaltTaken("OIDsalt"));
        assertEq(IIdentity(identity).adder(), address(0));
        assertTrue(IIdentity(identity).keyHasPurpose(keyOf(holder), MANAGEMENT));
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IIdFactory.SaltTaken.selector, "OIDsalt"));
        factory.createIdentity(stranger, "salt");
        vm.expectRevert(IIdFactory.EmptySalt.selector);
        factory.createIdentity(stranger, "");
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.WalletAlreadyLinkedToIdentity.selector, holder));
        factory.createIdentity(holder, "other");
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(this)));
        factory.createIdentity(stranger, "mine");
    }

    function test_ManagementKeys() public {
        bytes32[] memory keys = new bytes32[](2);
        (keys[0], keys[1]) = (keyOf(manager), keyOf(stranger));
        vm.startPrank(owner);
        address identity = factory.createIdentityWithManagementKeys(holder, "salt", keys);
        assertEq(IIdentity(identity).getKeysByPurpose(MANAGEMENT).length, 2);
        assertFalse(IIdentity(identity).keyHasPurpose(keyOf(address(factory)), MANAGEMENT));
        assertFalse(IIdentity(identity).keyHasPurpose(keyOf(holder), MANAGEMENT));
        assertTrue(factory.isIdentity(identity));
        assertEq(factory.getWallets(identity)[0], holder);
        keys[0] = keyOf(signer);
        vm.expectRevert(IIdFactory.WalletInManagementKeys.selector);
        factory.createIdentityWithManagementKeys(signer, "other", keys);
        vm.expectRevert(IIdFactory.EmptyListOfKeys.selector);
        factory.createIdentityWithManagementKeys(signer, "other", new bytes32[](0));
    }

    function test_TokenIdentity() public {
        address token = makeAddr("token");
        address maker = makeAddr("token factory");
        vm.prank(maker);
        vm.expectRevert(IIdFactory.OnlyFactoryOrOwnerCanCall.selector);
        factory.createTokenIdentity(token, holder, "salt");
        vm.prank(owner);
        factory.addTokenFactory(maker);
        assertTrue(factory.isTokenFactory(maker));
        vm.prank(maker);
        address identity = factory.createTokenIdentity(token, holder, "salt");
        assertEq(factory.getIdentity(token), identity);
        assertEq(factory.getToken(identity), token);
        assertTrue(factory.isSaltTaken("Tokensalt"));
        assertTrue(IIdentity(identity).keyHasPurpose(keyOf(holder), MANAGEMENT));
        assertEq(factory.getWallets(identity).length, 0);
        vm.prank(holder);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.WalletNotLinked.selector, token));
        factory.unlinkWallet(token);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IIdFactory.TokenAlreadyLinked.selector, token));
        factory.createTokenIdentity(token, holder, "again");
        factory.removeTokenFactory(maker);
        vm.expectRevert(abi.encodeWithSelector(IIdFactory.NotAFactory.selector, maker));
        factory.removeTokenFactory(maker);
    }

    function test_CreateManyPassesOverWhatIsThere() public {
        address[] memory list = new address[](4);
        (list[0], list[1], list[2], list[3]) = (holder, address(0), stranger, holder);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.NotAllowedToCreate.selector, address(this)));
        factory.createMany(list, address(issuer));
        vm.prank(address(issuer));
        address[] memory made = factory.createMany(list, address(issuer));
        assertEq(made[0], factory.predict(holder, address(issuer)));
        assertEq(made[2], factory.predict(stranger, address(issuer)));
        assertEq(uint160(made[1]) + uint160(made[3]), 0);
    }

    function test_AdoptsWhatTheWalletManages() public {
        Parrot elsewhere = new Parrot();
        elsewhere.teach(IERC734.keyHasPurpose.selector, abi.encode(false));
        vm.startPrank(holder);
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.NotAllowedToLink.selector, holder));
        factory.adopt(address(elsewhere));
        elsewhere.teach(IERC734.keyHasPurpose.selector, abi.encode(true));
        factory.adopt(address(elsewhere));
        assertEq(factory.getIdentity(holder), address(elsewhere));
        assertFalse(factory.isFirstWallet(holder));
        assertFalse(factory.isIdentity(address(elsewhere)));
        vm.expectRevert(abi.encodeWithSelector(IIdentityFactory.WalletAlreadyLinkedToIdentity.selector, holder));
        factory.adopt(address(elsewhere));
        factory.unlinkWallet(holder);
        assertEq(factory.getIdentity(holder), address(0));
    }

    /// @dev Code that names a wallet where ours does makes it no first wallet: claims from before its link do not count.
    function test_ForgedCodeMakesNoFirstWallet() public {
        address forged = makeAddr("forged");
        // Answers 1 to everything, and has the size of an identity with the wallet's address in its place.
        bytes memory code = abi.encodePacked(hex"60015f5260205ff3", new bytes(37), holder, address(issuer));
        assertEq(code.length, 85);
        vm.etch(forged, code);
        vm.prank(holder);
        factory.adopt(forged);
        assertEq(factory.getIdentity(holder), forged);
        assertFalse(factory.isFirstWallet(holder));
    }

    function test_AnswersAsAnImplementationAuthority() public view {
        assertEq(factory.implementationAuthority(), address(factory));
        assertEq(factory.getImplementation(), factory.implementation());
    }
}
