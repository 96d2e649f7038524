// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IClaimIssuerRegistry} from "./interfaces/IClaimIssuerRegistry.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {IIdFactory} from "./interfaces/IIdFactory.sol";
import {IIdentityFactory} from "./interfaces/IIdentityFactory.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {ClaimTuple} from "./libraries/ClaimTuple.sol";
import {ClaimWord} from "./libraries/ClaimWord.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title Who may attest which topic, and whether a wallet holds such a claim
contract ClaimIssuerRegistry is IClaimIssuerRegistry, Ownable2Step {
    using EnumerableSet for EnumerableSet.AddressSet;

    uint256 private constant MAX_ISSUERS = 50;
    uint256 private constant MAX_TOPICS = 15;
    uint256 private constant MAX_FACTORIES = 10;
    uint256 private constant FACTORY_GAS = 60_000;
    uint256 private constant VALIDITY_GAS = 150_000;

    EnumerableSet.AddressSet private _issuers;
    mapping(address issuer => uint256[]) private _topicsOf;
    mapping(uint256 topic => EnumerableSet.AddressSet) private _issuersFor;
    address[] private _factories;

    constructor(address owner_) Ownable(owner_) {}

    /// @inheritdoc IClaimIssuerRegistry
    function addTrustedIssuer(address _trustedIssuer, uint256[] calldata _claimTopics) external onlyOwner {
        if (_trustedIssuer == address(0)) revert ZeroAddress();
        if (_issuers.length() == MAX_ISSUERS) revert TooManyIssuers();
        if (!_issuers.add(_trustedIssuer)) revert IssuerAlreadyTrusted(_trustedIssuer);
        _setTopics(_trustedIssuer, _claimTopics);
        emit TrustedIssuerAdded(_trustedIssuer, _claimTopics);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function removeTrustedIssuer(address _trustedIssuer) external onlyOwner {
        if (!_issuers.remove(_trustedIssuer)) revert IssuerNotTrusted(_trustedIssuer);
        _clearTopics(_trustedIssuer);
        emit TrustedIssuerRemoved(_trustedIssuer);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function updateIssuerClaimTopics(address _trustedIssuer, uint256[] calldata _claimTopics) external onlyOwner {
        if (!_issuers.contains(_trustedIssuer)) revert IssuerNotTrusted(_trustedIssuer);
        _clearTopics(_trustedIssuer);
        _setTopics(_trustedIssuer, _claimTopics);
        emit ClaimTopicsUpdated(_trustedIssuer, _claimTopics);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function addFactory(address factory) external onlyOwner {
        if (factory == address(0)) revert ZeroAddress();
        if (_factories.length == MAX_FACTORIES) revert TooManyFactories();
        if (_indexOf(factory) < _factories.length) revert FactoryAlreadyTrusted(factory);
        _factories.push(factory);
        emit FactoryAdded(factory);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function removeFactory(address factory) external onlyOwner {
        uint256 last = _factories.length;
        uint256 index = _indexOf(factory);
        if (index == last) revert FactoryNotTrusted(factory);
        for (; index + 1 < last; ++index) {
            _factories[index] = _factories[index + 1]; // the order of the others stays
        }
        _factories.pop();
        emit FactoryRemoved(factory);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function getTrustedIssuers() external view returns (address[] memory) {
        return _issuers.values();
    }

    /// @inheritdoc IClaimIssuerRegistry
    function isTrustedIssuer(address _issuer) external view returns (bool) {
        return _issuers.contains(_issuer);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function getTrustedIssuerClaimTopics(address _trustedIssuer) external view returns (uint256[] memory) {
        if (!_issuers.contains(_trustedIssuer)) revert IssuerNotTrusted(_trustedIssuer);
        return _topicsOf[_trustedIssuer];
    }

    /// @inheritdoc IClaimIssuerRegistry
    function getTrustedIssuersForClaimTopic(uint256 claimTopic) external view returns (address[] memory) {
        return _issuersFor[claimTopic].values();
    }

    /// @inheritdoc IClaimIssuerRegistry
    function hasClaimTopic(address _issuer, uint256 _claimTopic) external view returns (bool) {
        return _issuersFor[_claimTopic].contains(_issuer);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function factories() external view returns (address[] memory) {
        return _factories;
    }

    /// @inheritdoc IClaimIssuerRegistry
    function isVerified(address wallet, uint256 topic) external view returns (bool) {
        for (uint256 i = 0; i < _factories.length; ++i) {
            address factory = _factories[i];
            address identity = _identityOf(factory, wallet);
            if (identity == address(0)) continue;
            (bool linked, uint256 since) = _countsSince(factory, wallet);
            if (linked && _holdsClaim(identity, topic, since)) return true;
        }
        return false;
    }

    /// @inheritdoc IClaimIssuerRegistry
    function isVerifiedIdentity(address identity, uint256 topic) external view returns (bool) {
        bytes memory question = abi.encodeCall(IIdentityFactory.isIdentity, (identity));
        for (uint256 i = 0; i < _factories.length; ++i) {
            if (BoundedCall.isTrue(_factories[i], FACTORY_GAS, question)) return _holdsClaim(identity, topic, 0);
        }
        return false;
    }

    function _setTopics(address issuer, uint256[] calldata topics) private {
        if (topics.length == 0) revert NoTopics();
        if (topics.length > MAX_TOPICS) revert TooManyTopics();
        for (uint256 i = 0; i < topics.length; ++i) {
            if (topics[i] == 0) revert ZeroTopic();
            if (!_issuersFor[topics[i]].add(issuer)) revert TopicRepeated(topics[i]);
        }
        _topicsOf[issuer] = topics;
    }

    function _clearTopics(address issuer) private {
        uint256[] storage topics = _topicsOf[issuer];
        for (uint256 i = 0; i < topics.length; ++i) {
            _issuersFor[topics[i]].remove(issuer);
        }
        delete _topicsOf[issuer];
    }

    function _indexOf(address factory) private view returns (uint256 index) {
        while (index < _factories.length && _factories[index] != factory) ++index;
    }

    function _identityOf(address factory, address wallet) private view returns (address) {
        bytes memory question = abi.encodeCall(IIdFactory.getIdentity, (wallet));
        (, uint256 word) = BoundedCall.readWord(factory, FACTORY_GAS, question);
        return word > type(uint160).max ? address(0) : address(uint160(word));
    }

    /// @dev From which issue time on a claim of the identity counts for this wallet; 0 for the wallet that it was made for.
    function _countsSince(address factory, address wallet) private view returns (bool linked, uint256 since) {
        if (BoundedCall.isTrue(factory, FACTORY_GAS, abi.encodeCall(IIdentityFactory.isFirstWallet, (wallet)))) {
            return (true, 0);
        }
        (linked, since) =
            BoundedCall.readWord(factory, FACTORY_GAS, abi.encodeCall(IIdentityFactory.linkedAt, (wallet)));
        linked = linked && since != 0;
    }

    /// @dev Asks each issuer that is trusted for the topic about the claim that the identity holds from it.
    function _holdsClaim(address identity, uint256 topic, uint256 since) private view returns (bool) {
        EnumerableSet.AddressSet storage issuers = _issuersFor[topic];
        uint256 count = issuers.length();
        for (uint256 i = 0; i < count; ++i) {
            address issuer = issuers.at(i);
            (bool found, ClaimTuple.Claim memory claim) =
                ClaimTuple.read(identity, keccak256(abi.encode(issuer, topic)));
            if (!found || claim.topic != topic || claim.issuer != issuer || _issuedAt(claim) < since) continue;
            bytes memory question =
                abi.encodeCall(IIdentity.isClaimValid, (identity, topic, claim.signature, claim.data));
            if (BoundedCall.isTrue(issuer, VALIDITY_GAS, question)) return true;
        }
        return false;
    }

    /// @dev 0 where the claim does not say: it then counts for the identity's first wallet only.
    function _issuedAt(ClaimTuple.Claim memory claim) private pure returns (uint256) {
        if (claim.signature.length == Signatures.FULL || claim.data.length != 32) return 0;
        bytes32 word = bytes32(claim.data);
        return ClaimWord.layoutOf(word) == ClaimWord.LAYOUT ? ClaimWord.issuedAt(word) : 0;
    }
}
