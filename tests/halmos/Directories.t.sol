// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {SymbolicTest} from "./Symbolic.sol";
import {IClaimIssuerRegistry} from "../../contracts/interfaces/IClaimIssuerRegistry.sol";
import {IIdFactory} from "../../contracts/interfaces/IIdFactory.sol";
import {IIdentityFactory} from "../../contracts/interfaces/IIdentityFactory.sol";

/// @dev Who may say which wallet has which identity, and whom to believe.
contract DirectoriesProof is SymbolicTest {
    function check_NobodyMakesAnIdentityForAnotherWallet(address wallet, address adder) public {
        address caller = svm.createAddress("caller");
        vm.assume(caller != wallet && caller != address(issuer));
        vm.prank(caller);
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.createFor, (wallet, adder)));
        assert(!done);
        assert(wallet == HOLDER || factory.getIdentity(wallet) == address(0));
    }

    function check_ADeployerMakesIdentitiesInItsOwnNameOnly(address wallet, address adder) public {
        vm.assume(wallet != address(issuer) && adder != address(issuer));
        vm.prank(address(issuer));
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.createFor, (wallet, adder)));
        assert(!done);
    }

    function check_NobodyLinksWithoutAProposal(address to) public {
        address caller = svm.createAddress("caller");
        vm.prank(caller);
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.acceptLink, (to)));
        assert(!done);
    }

    function check_NobodyUnlinksAnothersWallet() public {
        vm.prank(anyCallerBut(HOLDER, address(identity)));
        (bool done,) = address(factory).call(abi.encodeCall(IIdFactory.unlinkWallet, (HOLDER)));
        assert(!done);
        assert(factory.getIdentity(HOLDER) == address(identity));
    }

    function check_AWalletHasOneIdentity(address adder) public {
        vm.prank(HOLDER);
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.createFor, (HOLDER, adder)));
        assert(!done);
    }

    function check_OnlyTheOwnerNamesDeployers(address deployer, bool allowed) public {
        address caller = svm.createAddress("caller");
        vm.assume(caller != OWNER);
        vm.prank(caller);
        (bool done,) = address(factory).call(abi.encodeCall(IIdentityFactory.setDeployer, (deployer, allowed)));
        assert(!done);
    }

    function ownerOnly(bytes memory call) private {
        address caller = svm.createAddress("caller");
        vm.assume(caller != OWNER);
        vm.prank(caller);
        (bool done,) = address(registry).call(call);
        assert(!done);
    }

    function check_OnlyTheOwnerTrusts(address trusted, uint256 topic) public {
        uint256[] memory topics = new uint256[](1);
        topics[0] = topic;
        ownerOnly(abi.encodeCall(IClaimIssuerRegistry.addTrustedIssuer, (trusted, topics)));
        ownerOnly(abi.encodeCall(IClaimIssuerRegistry.updateIssuerClaimTopics, (trusted, topics)));
        ownerOnly(abi.encodeCall(IClaimIssuerRegistry.addFactory, (trusted)));
        ownerOnly(abi.encodeCall(IClaimIssuerRegistry.moveFactory, (trusted, topic)));
    }

    function check_OnlyTheOwnerSaysWhatThingsAre(address trusted, uint256 topic, bytes32 contentHash) public {
        IClaimIssuerRegistry.Metadata memory metadata = IClaimIssuerRegistry.Metadata("name", "uri", contentHash);
        ownerOnly(abi.encodeCall(IClaimIssuerRegistry.setIssuerMetadata, (trusted, metadata)));
        ownerOnly(abi.encodeCall(IClaimIssuerRegistry.setTopicMetadata, (topic, metadata)));
    }

    /// @dev Neither by the owner alone nor by anybody else alone.
    function check_OwnershipMovesInTwoSteps(address next, bool ofRegistry) public {
        Ownable2Step owned = ofRegistry ? Ownable2Step(address(registry)) : Ownable2Step(address(factory));
        address caller = svm.createAddress("caller");
        vm.assume(next != OWNER && caller != next);
        vm.prank(OWNER);
        owned.transferOwnership(next);
        assert(owned.owner() == OWNER);
        vm.prank(caller);
        (bool done,) = address(owned).call(abi.encodeCall(owned.acceptOwnership, ()));
        assert(!done && owned.owner() == OWNER);
        vm.prank(next);
        owned.acceptOwnership();
        assert(owned.owner() == next);
    }

    function check_OnlyTheOwnerHandsOver(address next, bool ofRegistry) public {
        Ownable2Step owned = ofRegistry ? Ownable2Step(address(registry)) : Ownable2Step(address(factory));
        address caller = svm.createAddress("caller");
        vm.assume(caller != OWNER);
        vm.prank(caller);
        (bool done,) = address(owned).call(abi.encodeCall(owned.transferOwnership, (next)));
        vm.prank(caller);
        (bool gone,) = address(owned).call(abi.encodeCall(owned.renounceOwnership, ()));
        assert(!done && !gone && owned.owner() == OWNER && owned.pendingOwner() == address(0));
    }

    function check_OnlyTheOwnerDistrusts(address trusted) public {
        ownerOnly(abi.encodeCall(IClaimIssuerRegistry.removeTrustedIssuer, (trusted)));
        ownerOnly(abi.encodeCall(IClaimIssuerRegistry.removeFactory, (trusted)));
    }

    function check_NobodyIsVerifiedWhileNobodyIsTrusted(address wallet, uint256 topic) public view {
        assert(!registry.isVerified(wallet, topic));
        assert(!registry.isVerifiedIdentity(wallet, topic));
    }
}
