// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {KeyHolder} from "./KeyHolder.sol";
import {IERC735} from "./interfaces/IERC735.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {Purposes} from "./libraries/Purposes.sol";

/// @title The claims of an identity (ERC-735), and what its adder may do to them
abstract contract ClaimHolder is IIdentity, KeyHolder {
    using EnumerableSet for EnumerableSet.Bytes32Set;

    struct Claim {
        uint256 topic; // never 0 for a claim that is there
        uint256 scheme;
        address issuer;
        bytes signature;
        bytes data;
        string uri;
    }

    uint256 private constant MAX_FIELD = 2048;

    mapping(bytes32 claimId => Claim) private _claims;
    mapping(uint256 topic => EnumerableSet.Bytes32Set) private _idsByTopic;
    mapping(bytes32 claimId => bool) private _removedByHolder; // of the adder's claims only

    /// @inheritdoc IIdentity
    bool public adderMuted;

    /// @inheritdoc IIdentity
    function setAdderMuted(bool muted) external onlyManager {
        adderMuted = muted;
        emit AdderMuted(muted);
    }

    /// @inheritdoc IIdentity
    function allowClaim(bytes32 claimId) external {
        if (msg.sender == adder() || !_senderHas(Purposes.CLAIM)) revert SenderDoesNotHaveClaimSignerKey();
        delete _removedByHolder[claimId];
        emit ClaimAllowed(claimId);
    }

    /// @inheritdoc IERC735
    function addClaim(
        uint256 _topic,
        uint256 _scheme,
        address issuer,
        bytes calldata _signature,
        bytes calldata _data,
        string calldata _uri
    ) external returns (bytes32 claimRequestId) {
        if (_topic == 0) revert ZeroTopic();
        if (issuer == address(0)) revert ZeroAddress();
        _checkLength(_signature.length);
        _checkLength(_data.length);
        _checkLength(bytes(_uri).length);

        claimRequestId = keccak256(abi.encode(issuer, _topic));
        bool asHolder = _writesAsHolder(issuer);
        if (_removedByHolder[claimRequestId]) {
            if (!asHolder) revert ClaimRemovedByHolder(claimRequestId);
            delete _removedByHolder[claimRequestId];
        }
        _checkIssuer(_topic, issuer, _signature, _data);

        bool added = _idsByTopic[_topic].add(claimRequestId);
        _claims[claimRequestId] = Claim(_topic, _scheme, issuer, _signature, _data, _uri);
        if (added) emit ClaimAdded(claimRequestId, _topic, _scheme, issuer, _signature, _data, _uri);
        else emit ClaimChanged(claimRequestId, _topic, _scheme, issuer, _signature, _data, _uri);
    }

    /// @inheritdoc IERC735
    function removeClaim(bytes32 _claimId) external returns (bool success) {
        Claim memory claim = _claims[_claimId];
        if (claim.topic == 0) revert ClaimNotRegistered(_claimId);
        if (_writesAsHolder(claim.issuer) && claim.issuer == adder()) _removedByHolder[_claimId] = true;
        _idsByTopic[claim.topic].remove(_claimId);
        delete _claims[_claimId];
        emit ClaimRemoved(_claimId, claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri);
        return true;
    }

    /// @inheritdoc IERC735
    function getClaim(bytes32 _claimId)
        external
        view
        returns (
            uint256 topic,
            uint256 scheme,
            address issuer,
            bytes memory signature,
            bytes memory data,
            string memory uri
        )
    {
        Claim storage claim = _claims[_claimId];
        return (claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri);
    }

    /// @inheritdoc IERC735
    function getClaimIdsByTopic(uint256 _topic) external view returns (bytes32[] memory claimIds) {
        return _idsByTopic[_topic].values();
    }

    /// @inheritdoc IIdentity
    function isClaimValid(address _identity, uint256 claimTopic, bytes calldata sig, bytes calldata data)
        external
        view
        returns (bool)
    {
        return _isValid(_identity, claimTopic, sig, data);
    }

    /// @inheritdoc IIdentity
    function adder() public view virtual returns (address);

    /// @dev Whether this identity vouches for the claim. Never reverts.
    function _isValid(address identity, uint256 topic, bytes memory signature, bytes memory data)
        internal
        view
        virtual
        returns (bool);

    /// @dev True for the holder's own keys, false for the adder with a claim of its own; reverts for everybody else. The adder stays the adder
    /// for its own claims even with a CLAIM key, so that muting it and removing its claims always works.
    function _writesAsHolder(address issuer) private view returns (bool) {
        if (msg.sender == adder()) {
            if (adderMuted) revert AdderIsMuted();
            if (issuer == msg.sender) return false;
        }
        if (!_senderHas(Purposes.CLAIM)) revert SenderDoesNotHaveClaimSignerKey();
        return true;
    }

    function _checkIssuer(uint256 topic, address issuer, bytes calldata signature, bytes calldata data) private view {
        if (issuer == address(this)) {
            if (!_senderHas(Purposes.MANAGEMENT) && !_isValid(issuer, topic, signature, data)) revert InvalidClaim();
        } else {
            bytes memory question = abi.encodeCall(IIdentity.isClaimValid, (address(this), topic, signature, data));
            if (!BoundedCall.isTrue(issuer, gasleft(), question)) revert InvalidClaim();
        }
    }

    function _checkLength(uint256 length) private pure {
        if (length > MAX_FIELD) revert ClaimTooLong(length);
    }
}
