// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {KeyHolder} from "./KeyHolder.sol";
import {IClaimHost} from "./interfaces/IClaimHost.sol";
import {IERC735} from "./interfaces/IERC735.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {ClaimHeader} from "./libraries/ClaimHeader.sol";
import {ClaimStore} from "./libraries/ClaimStore.sol";
import {Purposes} from "./libraries/Purposes.sol";
import {TopicIndex} from "./libraries/TopicIndex.sol";

/// @title The claims of an identity (ERC-735), and what its adder may do to them
abstract contract ClaimHolder is IIdentity, KeyHolder {
    using ClaimStore for ClaimStore.Store;
    using TopicIndex for TopicIndex.Index;

    uint256 private constant MAX_FIELD = 2048;
    uint256 private constant HOSTED = 3; // the scheme of a claim that stands at its issuer
    uint256 private constant HOST_GAS = 30_000;

    ClaimStore.Store private _claims;
    /// @dev Of all claims but the adder's, whose id follows from the topic.
    mapping(uint256 topic => TopicIndex.Index) private _issuers;

    /// @inheritdoc IIdentity
    bool public adderMuted;
    /// @dev How many of the adder's claims the holder has removed; beside `adderMuted`, so that most of the time one look is enough.
    uint64 private _tombstones;

    /// @inheritdoc IIdentity
    function setAdderMuted(bool muted) external onlyManager {
        adderMuted = muted;
        emit AdderMuted(muted);
    }

    /// @inheritdoc IIdentity
    function allowClaim(bytes32 claimId) external {
        if (msg.sender == adder() || !_senderHas(Purposes.CLAIM)) revert SenderDoesNotHaveClaimSignerKey();
        if (_claims.headers[claimId] == ClaimHeader.TOMBSTONE) {
            delete _claims.headers[claimId];
            --_tombstones;
        }
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
        return _write(Claim(_topic, _scheme, issuer, _signature, _data, _uri), _writesAsHolder(issuer));
    }

    /// @inheritdoc IIdentity
    function addClaims(Claim[] calldata claims) external returns (bytes32[] memory claimIds) {
        claimIds = new bytes32[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            claimIds[i] = _write(claims[i], _writesAsHolder(claims[i].issuer));
        }
    }

    /// @inheritdoc IERC735
    function removeClaim(bytes32 _claimId) external returns (bool success) {
        Claim memory claim = _read(_claimId, true); // what is hosted can be removed while the adder is muted
        if (claim.topic == 0) revert ClaimNotRegistered(_claimId);
        _remove(_claimId, claim, _writesAsHolder(claim.issuer));
        return true;
    }

    /// @inheritdoc IIdentity
    function removeClaimAsIssuer(uint256 topic) external {
        if (adderMuted && msg.sender == adder()) revert AdderIsMuted();
        bytes32 claimId = _idOf(msg.sender, topic);
        Claim memory claim = _claims.read(claimId);
        if (claim.topic == 0) revert ClaimNotRegistered(claimId);
        _remove(claimId, claim, false);
    }

    /// @inheritdoc IIdentity
    function hostedWordChanged(uint256 topic, bytes32 old, bytes32 word) external returns (bool) {
        if (msg.sender != adder()) revert SenderIsNotAdder();
        bytes32 claimId = _idOf(msg.sender, topic);
        if (word == bytes32(0)) {
            emit ClaimRemoved(claimId, topic, HOSTED, msg.sender, "", abi.encode(old), "");
            return true; // muted or removed as it may be: it is over
        }
        if (adderMuted) revert AdderIsMuted();
        if (_tombstones != 0 && _claims.headers[claimId] == ClaimHeader.TOMBSTONE) revert ClaimRemovedByHolder(claimId);
        if (old == bytes32(0)) emit ClaimAdded(claimId, topic, HOSTED, msg.sender, "", abi.encode(word), "");
        else emit ClaimChanged(claimId, topic, HOSTED, msg.sender, "", abi.encode(word), "");
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
        Claim memory claim = _read(_claimId, !adderMuted);
        return (claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri);
    }

    /// @inheritdoc IERC735
    function getClaimIdsByTopic(uint256 _topic) external view returns (bytes32[] memory claimIds) {
        bytes32 ofAdder = _idOf(adder(), _topic);
        uint256 first = _topic != 0 && _read(ofAdder, !adderMuted).topic == _topic ? 1 : 0;
        TopicIndex.Index storage issuers = _issuers[_topic];
        claimIds = new bytes32[](first + issuers.count);
        if (first == 1) claimIds[0] = ofAdder;
        for (uint256 i = first; i < claimIds.length; ++i) {
            claimIds[i] = _idOf(issuers.issuerAt(i - first), _topic);
        }
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

    /// @dev How many bytes of a claim stand in words before code is the better place.
    function _codeThreshold() internal view virtual returns (uint256);

    /// @dev Whether this identity vouches for the claim. Never reverts.
    function _isValid(address identity, uint256 topic, bytes calldata signature, bytes calldata data)
        internal
        view
        virtual
        returns (bool);

    function _write(Claim memory claim, bool asHolder) internal returns (bytes32 claimId) {
        if (claim.topic == 0) revert ZeroTopic();
        if (claim.issuer == address(0)) revert ZeroAddress();
        _checkLength(claim.signature.length);
        _checkLength(claim.data.length);
        _checkLength(bytes(claim.uri).length);

        claimId = _idOf(claim.issuer, claim.topic);
        bytes32 old = _claims.headers[claimId];
        if (old == ClaimHeader.TOMBSTONE && !asHolder) revert ClaimRemovedByHolder(claimId);
        _checkIssuer(claim);

        if (old == ClaimHeader.TOMBSTONE) --_tombstones;
        _claims.write(claimId, old, claim, _codeThreshold());
        if (ClaimHeader.isClaim(old)) {
            emit ClaimChanged(
                claimId, claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri
            );
        } else {
            if (claim.issuer != adder() && !_issuers[claim.topic].add(claim.issuer)) revert TooManyClaims(claim.topic);
            emit ClaimAdded(claimId, claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri);
        }
    }

    /// @dev What the holder removes of the adder's stays removed.
    function _remove(bytes32 claimId, Claim memory claim, bool asHolder) private {
        bool ofAdder = claim.issuer == adder();
        bytes32 rest = ofAdder && asHolder ? ClaimHeader.TOMBSTONE : bytes32(0);
        if (rest != bytes32(0)) ++_tombstones;
        _claims.clear(claimId, _claims.headers[claimId], rest);
        if (!ofAdder) _issuers[claim.topic].remove(claim.issuer);
        emit ClaimRemoved(claimId, claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri);
    }

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

    function _checkIssuer(Claim memory claim) private view {
        if (claim.issuer == address(this)) {
            if (_senderHas(Purposes.MANAGEMENT)) return;
            if (!this.isClaimValid(address(this), claim.topic, claim.signature, claim.data)) revert InvalidClaim();
        } else {
            bytes memory question =
                abi.encodeCall(IIdentity.isClaimValid, (address(this), claim.topic, claim.signature, claim.data));
            if (!BoundedCall.isTrue(claim.issuer, gasleft(), question)) revert InvalidClaim();
        }
    }

    /// @dev The claim that stands here, or else, if `withHosted`, the one that the adder hosts.
    function _read(bytes32 claimId, bool withHosted) private view returns (Claim memory claim) {
        if (_claims.headers[claimId] != bytes32(0)) return _claims.read(claimId);
        address host = withHosted ? adder() : address(0);
        if (host == address(0)) return claim;
        (bool success, bytes memory answer) =
            BoundedCall.read(host, HOST_GAS, 64, abi.encodeCall(IClaimHost.hosted, (address(this), claimId)));
        if (!success || answer.length != 64) return claim;
        (uint256 topic, bytes32 word) = abi.decode(answer, (uint256, bytes32));
        if (topic == 0 || _idOf(host, topic) != claimId) return claim;
        return Claim(topic, HOSTED, host, "", abi.encode(word), "");
    }

    function _idOf(address issuer, uint256 topic) private pure returns (bytes32) {
        return keccak256(abi.encode(issuer, topic));
    }

    function _checkLength(uint256 length) private pure {
        if (length > MAX_FIELD) revert ClaimTooLong(length);
    }
}
