// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Test} from "forge-std/Test.sol";
import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IClaimIssuerRegistry} from "../../contracts/interfaces/IClaimIssuerRegistry.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {IIdentityFactory} from "../../contracts/interfaces/IIdentityFactory.sol";
import {ClaimWord} from "../../contracts/libraries/ClaimWord.sol";

/// @dev The whole set, deployed, with people who have names. The contracts come from the build, not by `new`: what is tested is what is shipped.
abstract contract BaseTest is Test {
    uint256 internal constant TOPIC = 0x434C0001;
    uint256 internal constant MANAGEMENT = 1;
    uint256 internal constant ACTION = 2;
    uint256 internal constant CLAIM = 3;
    uint256 internal constant ECDSA = 1;
    uint256 internal constant CLAIMWRIGHT = 712;
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint32 internal constant NOW = 1_760_000_000;

    address internal owner = makeAddr("owner");
    address internal manager = makeAddr("manager");
    address internal operator = makeAddr("operator");
    address internal stranger = makeAddr("stranger");
    address internal holder;
    uint256 internal holderKey;
    address internal signer;
    uint256 internal signerKey;
    address internal legacySigner;
    uint256 internal legacyKey;

    IIdentityFactory internal factory;
    IClaimIssuer internal issuer;
    IClaimIssuerRegistry internal registry;

    function setUp() public virtual {
        vm.warp(NOW);
        (holder, holderKey) = makeAddrAndKey("holder");
        (signer, signerKey) = makeAddrAndKey("signer");
        (legacySigner, legacyKey) = makeAddrAndKey("legacy signer");

        factory = IIdentityFactory(deployCode("IdentityFactory.sol:IdentityFactory", abi.encode(owner)));
        issuer = newIssuer();
        registry = IClaimIssuerRegistry(deployCode("ClaimIssuerRegistry.sol:ClaimIssuerRegistry", abi.encode(owner)));
        vm.startPrank(owner);
        factory.setDeployer(address(issuer), true);
        registry.addFactory(address(factory));
        registry.addTrustedIssuer(address(issuer), topics(TOPIC));
        vm.stopPrank();
    }

    function newIssuer() internal returns (IClaimIssuer made) {
        made = IClaimIssuer(deployCode("ClaimIssuer.sol:ClaimIssuer", abi.encode(manager, factory)));
        vm.startPrank(manager);
        made.setOperator(operator, true);
        made.addKey(keyOf(signer), CLAIM, CLAIMWRIGHT);
        made.addKey(keyOf(legacySigner), CLAIM, ECDSA);
        vm.stopPrank();
    }

    /// @dev The holder's identity, with our issuer as its adder.
    function newIdentity() internal returns (IIdentity) {
        vm.prank(holder);
        return IIdentity(factory.createFor(holder, address(issuer)));
    }

    function keyOf(address account) internal pure returns (bytes32) {
        return keccak256(abi.encode(account));
    }

    function idOf(address issuer_, uint256 topic) internal pure returns (bytes32) {
        return keccak256(abi.encode(issuer_, topic));
    }

    function topics(uint256 topic) internal pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = topic;
    }

    /// @dev Issued now, without expiry.
    function wordOf(uint16 epoch) internal view returns (bytes32) {
        return ClaimWord.pack(epoch, uint32(block.timestamp), 0, bytes21(keccak256("a commitment")));
    }

    function compact(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, bytes32((uint256(v - 27) << 255) | uint256(s)));
    }

    function full(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function signWord(address identity, uint256 topic, bytes32 word) internal view returns (bytes memory) {
        return compact(signerKey, issuer.claimDigest(identity, topic, word));
    }

    function legacyDigest(address identity, uint256 topic, bytes memory data) internal pure returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(identity, topic, data));
        return keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", hash));
    }

    function signLegacy(address identity, uint256 topic, bytes memory data) internal view returns (bytes memory) {
        return full(legacyKey, legacyDigest(identity, topic, data));
    }

    /// @dev A good claim on TOPIC in the epoch that (identity, TOPIC) is in.
    function claimFor(address identity) internal view returns (IClaimIssuer.ClaimInput memory) {
        bytes32 word = wordOf(issuer.epochOf(identity, TOPIC));
        return IClaimIssuer.ClaimInput(TOPIC, 1, signWord(identity, TOPIC, word), abi.encodePacked(word), "");
    }

    function itemFor(address wallet) internal view returns (IClaimIssuer.Onboarding memory item) {
        item.wallet = wallet;
        item.claims = new IClaimIssuer.ClaimInput[](1);
        address identity = factory.getIdentity(wallet);
        item.claims[0] = claimFor(identity == address(0) ? factory.predict(wallet, address(issuer)) : identity);
    }

    /// @dev As the daemon does it: identity and first claim in one call.
    function onboard(address wallet) internal returns (IIdentity) {
        IClaimIssuer.Onboarding[] memory items = new IClaimIssuer.Onboarding[](1);
        items[0] = itemFor(wallet);
        vm.prank(operator);
        issuer.onboard(items);
        return IIdentity(factory.getIdentity(wallet));
    }

    function isValid(address identity, uint256 topic, bytes memory signature, bytes32 word)
        internal
        view
        returns (bool)
    {
        return issuer.isClaimValid(identity, topic, signature, abi.encodePacked(word));
    }

    function addAsHolder(IIdentity identity, IClaimIssuer.ClaimInput memory claim) internal {
        vm.prank(holder);
        identity.addClaim(claim.topic, claim.scheme, address(issuer), claim.signature, claim.data, claim.uri);
    }

    function revocation(address identity, uint256 topic, uint16 epoch)
        internal
        pure
        returns (IClaimIssuer.Revocation[] memory items)
    {
        items = new IClaimIssuer.Revocation[](1);
        items[0] = IClaimIssuer.Revocation(identity, topic, epoch);
    }
}
