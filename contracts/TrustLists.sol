// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {HandedOver} from "./HandedOver.sol";
import {IClaimIssuerRegistry} from "./interfaces/IClaimIssuerRegistry.sol";

/// @title Who may attest which topic, and which factories say whose identity is whose
abstract contract TrustLists is IClaimIssuerRegistry, HandedOver {
    using EnumerableSet for EnumerableSet.AddressSet;

    uint256 private constant MAX_ISSUERS = 50;
    uint256 private constant MAX_TOPICS = 15;
    uint256 private constant MAX_FACTORIES = 10;

    EnumerableSet.AddressSet private _issuers;
    mapping(address issuer => uint256[]) private _topicsOf;
    mapping(uint256 topic => EnumerableSet.AddressSet) internal _issuersFor;
    address[] internal _factories;
    mapping(address issuer => Metadata) private _issuerMetadata;
    mapping(uint256 topic => Metadata) private _topicMetadata;

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
    function moveFactory(address factory, uint256 position) external onlyOwner {
        uint256 index = _indexOf(factory);
        if (index == _factories.length) revert FactoryNotTrusted(factory);
        if (position >= _factories.length) revert PositionOutOfRange(position, _factories.length);
        for (; index < position; ++index) {
            _factories[index] = _factories[index + 1];
        }
        for (; index > position; --index) {
            _factories[index] = _factories[index - 1];
        }
        _factories[position] = factory;
        emit FactoryMoved(factory, position);
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
    function setIssuerMetadata(address issuer, Metadata calldata metadata) external onlyOwner {
        _issuerMetadata[issuer] = metadata;
        emit IssuerMetadataSet(issuer, metadata);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function setTopicMetadata(uint256 topic, Metadata calldata metadata) external onlyOwner {
        _topicMetadata[topic] = metadata;
        emit TopicMetadataSet(topic, metadata);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function issuerMetadata(address issuer) external view returns (Metadata memory) {
        return _issuerMetadata[issuer];
    }

    /// @inheritdoc IClaimIssuerRegistry
    function topicMetadata(uint256 topic) external view returns (Metadata memory) {
        return _topicMetadata[topic];
    }

    /// @inheritdoc IClaimIssuerRegistry
    function trustedIssuers(uint256 offset, uint256 limit) external view returns (address[] memory, uint256 total) {
        return _page(_issuers.values(), offset, limit);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function trustedIssuersFor(uint256 topic, uint256 offset, uint256 limit)
        external
        view
        returns (address[] memory, uint256 total)
    {
        return _page(_issuersFor[topic].values(), offset, limit);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function trustedFactories(uint256 offset, uint256 limit) external view returns (address[] memory, uint256 total) {
        return _page(_factories, offset, limit);
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

    /// @dev The lists are short (see the limits above), so that a page is no larger than they are whatever `limit` says.
    function _page(address[] memory list, uint256 offset, uint256 limit)
        private
        pure
        returns (address[] memory page, uint256 total)
    {
        total = list.length;
        uint256 left = offset < total ? total - offset : 0;
        page = new address[](limit < left ? limit : left);
        for (uint256 i = 0; i < page.length; ++i) {
            page[i] = list[offset + i];
        }
    }
}
