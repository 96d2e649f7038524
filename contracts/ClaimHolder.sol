// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {KeyHolder} from "./KeyHolder.sol";
import {IClaimHost} from "./interfaces/IClaimHost.sol";
import {IERC735} from "./interfaces/IERC735.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {ClaimHeader, ClaimHeaders} from "./libraries/ClaimHeader.sol";
import {ClaimStore} from "./libraries/ClaimStore.sol";
import {Ids} from "./libraries/Ids.sol";
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
        if (_claims.headers[claimId].isTombstone()) {
            _claims.headers[claimId] = ClaimHeaders.NONE;
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
        address adder_ = adder();
        bool asHolder = _writesAsHolder(issuer, adder_);
        return _write(_topic, _scheme, issuer, _signature, _data, _uri, asHolder, issuer == adder_);
    }

    /// @inheritdoc IIdentity
    function addClaims(Claim[] calldata claims) external returns (bytes32[] memory claimIds) {
        claimIds = new bytes32[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            claimIds[i] = _write(claims[i], _writesAsHolder(claims[i].issuer, adder()));
        }
    }

    /// @inheritdoc IERC735
    function removeClaim(bytes32 _claimId) external returns (bool success) {
        Claim memory claim = _read(_claimId, true); // what is hosted can be removed while the adder is muted
        if (claim.topic == 0) revert ClaimNotRegistered(_claimId);
        _remove(_claimId, claim, _writesAsHolder(claim.issuer, adder()));
        return true;
    }

    /// @inheritdoc IIdentity
    function removeClaimAsIssuer(uint256 topic) external {
        if (adderMuted && msg.sender == adder()) revert AdderIsMuted();
        bytes32 claimId = Ids.claimOf(msg.sender, topic);
        Claim memory claim = _claims.read(claimId, _claims.headers[claimId]);
        if (claim.topic == 0) revert ClaimNotRegistered(claimId);
        _remove(claimId, claim, false);
    }

    /// @inheritdoc IIdentity
    function hostedWordChanged(uint256 topic, bytes32 old, bytes32 word) external returns (bool) {
        if (msg.sender != adder()) revert SenderIsNotAdder();
        bytes32 claimId = Ids.claimOf(msg.sender, topic);
        if (word == bytes32(0)) {
            _emitHosted(ClaimRemoved.selector, claimId, topic, old);
            return true; // muted or removed as it may be: it is over
        }
        if (adderMuted) revert AdderIsMuted();
        if (_tombstones != 0 && _claims.headers[claimId].isTombstone()) revert ClaimRemovedByHolder(claimId);
        _emitHosted(old == bytes32(0) ? ClaimAdded.selector : ClaimChanged.selector, claimId, topic, word);
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
        ClaimHeader header = _claims.headers[_claimId];
        if (!header.isNone()) {
            Claim memory claim = _claims.read(_claimId, header);
            return (claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri);
        }
        uint256 word;
        (issuer, topic, word) = _hosted(_claimId, false);
        if (topic != 0) _returnHosted(topic, issuer, word);
    }

    /// @inheritdoc IERC735
    function getClaimIdsByTopic(uint256 _topic) external view returns (bytes32[] memory claimIds) {
        bytes32 ofAdder = Ids.claimOf(adder(), _topic);
        uint256 first = _topic != 0 && _read(ofAdder, false).topic == _topic ? 1 : 0;
        TopicIndex.Index storage issuers = _issuers[_topic];
        claimIds = new bytes32[](first + issuers.count());
        if (first == 1) claimIds[0] = ofAdder;
        for (uint256 i = first; i < claimIds.length; ++i) {
            claimIds[i] = Ids.claimOf(issuers.issuerAt(i - first), _topic);
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

    function _write(Claim calldata claim, bool asHolder) internal returns (bytes32 claimId) {
        address issuer = claim.issuer;
        return
            _write(
                claim.topic, claim.scheme, issuer, claim.signature, claim.data, claim.uri, asHolder, issuer == adder()
            );
    }

    function _write(
        uint256 topic,
        uint256 scheme,
        address issuer,
        bytes calldata signature,
        bytes calldata data,
        string calldata uri,
        bool asHolder,
        bool ofAdder
    ) private returns (bytes32 claimId) {
        if (topic == 0) revert ZeroTopic();
        if (issuer == address(0)) revert ZeroAddress();
        _checkLength(signature.length);
        _checkLength(data.length);
        _checkLength(bytes(uri).length);

        claimId = Ids.claimOf(issuer, topic);
        ClaimHeader old = _claims.headers[claimId];
        if (old.isTombstone() && !asHolder) revert ClaimRemovedByHolder(claimId);
        _checkIssuer(issuer, topic, signature, data);

        if (old.isTombstone()) --_tombstones;
        (ClaimHeader header, bytes memory stream) =
            ClaimStore.encode(topic, scheme, issuer, signature, data, bytes(uri));
        _claims.write(claimId, old, header, stream, _codeThreshold());
        bool isNew = !old.isClaim();
        if (isNew && !ofAdder && !_issuers[topic].add(issuer)) revert TooManyClaims(topic);
        bytes memory body = abi.encode(scheme, signature, data, uri);
        _emit(isNew ? ClaimAdded.selector : ClaimChanged.selector, claimId, topic, issuer, body);
    }

    /// @dev What the holder removes of the adder's stays removed.
    function _remove(bytes32 claimId, Claim memory claim, bool asHolder) private {
        bool ofAdder = claim.issuer == adder();
        ClaimHeader rest = ofAdder && asHolder ? ClaimHeaders.TOMBSTONE : ClaimHeaders.NONE;
        if (rest.isTombstone()) ++_tombstones;
        _claims.clear(claimId, _claims.headers[claimId], rest);
        if (!ofAdder) _issuers[claim.topic].remove(claim.issuer);
        bytes memory body = abi.encode(claim.scheme, claim.signature, claim.data, claim.uri);
        _emit(ClaimRemoved.selector, claimId, claim.topic, claim.issuer, body);
    }

    /// @dev True for the holder's own keys, false for the adder with a claim of its own; reverts for everybody else. The adder stays the adder
    /// for its own claims even with a CLAIM key, so that muting it and removing its claims always works.
    function _writesAsHolder(address issuer, address adder_) private view returns (bool) {
        if (msg.sender == adder_) {
            if (adderMuted) revert AdderIsMuted();
            if (issuer == msg.sender) return false;
        }
        if (!_senderHas(Purposes.CLAIM)) revert SenderDoesNotHaveClaimSignerKey();
        return true;
    }

    function _checkIssuer(address issuer, uint256 topic, bytes calldata signature, bytes calldata data) private view {
        if (issuer == address(this)) {
            if (_senderHas(Purposes.MANAGEMENT)) return;
            if (!_isValid(address(this), topic, signature, data)) revert InvalidClaim();
        } else {
            bytes memory question = abi.encodeCall(IIdentity.isClaimValid, (address(this), topic, signature, data));
            if (!BoundedCall.isTrue(issuer, gasleft(), question)) revert InvalidClaim();
        }
    }

    /// @dev The claim that stands here, or else the one that the adder hosts, which a mute hides unless `evenMuted`. What stands here needs no look at
    /// the adder.
    function _read(bytes32 claimId, bool evenMuted) private view returns (Claim memory claim) {
        ClaimHeader header = _claims.headers[claimId];
        if (!header.isNone()) return _claims.read(claimId, header);
        (address host, uint256 topic, uint256 word) = _hosted(claimId, evenMuted);
        if (topic != 0) return Claim(topic, HOSTED, host, "", abi.encode(word), "");
    }

    /// @dev What the adder hosts under an id; all zero if it is nothing.
    function _hosted(bytes32 claimId, bool evenMuted) private view returns (address host, uint256 topic, uint256 word) {
        host = adder();
        if (host == address(0) || (adderMuted && !evenMuted)) return (address(0), 0, 0);
        (topic, word) = BoundedCall.readPair(
            host, HOST_GAS, IClaimHost.getHosted.selector, uint256(uint160(address(this))), uint256(claimId)
        );
        if (topic == 0 || Ids.claimOf(host, topic) != claimId) return (address(0), 0, 0);
    }

    /// @dev Ends the call with `getClaim`'s answer for a hosted claim, put in place by hand: others' contracts read it in every check.
    function _returnHosted(uint256 topic, address issuer, uint256 word) private pure {
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore(at, topic)
            mstore(add(at, 0x20), HOSTED)
            mstore(add(at, 0x40), issuer)
            mstore(add(at, 0x60), 0xc0) // where the signature stands,
            mstore(add(at, 0x80), 0xe0) // the data
            mstore(add(at, 0xa0), 0x120) // and the uri
            mstore(add(at, 0xc0), 0)
            mstore(add(at, 0xe0), 0x20)
            mstore(add(at, 0x100), word)
            mstore(add(at, 0x120), 0)
            return(at, 0x140)
        }
    }

    /// @dev One of the three claim events, which differ in nothing but the name; `body` has scheme, signature, data and uri.
    function _emit(bytes32 event_, bytes32 claimId, uint256 topic, address issuer, bytes memory body) private {
        assembly ("memory-safe") {
            log4(add(body, 0x20), mload(body), event_, claimId, topic, issuer)
        }
    }

    /// @dev The same for a word that the sender hosts: the scheme, no signature, the word as data, no uri.
    function _emitHosted(bytes32 event_, bytes32 claimId, uint256 topic, bytes32 word) private {
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore(at, HOSTED)
            mstore(add(at, 0x20), 0x80) // where the signature stands,
            mstore(add(at, 0x40), 0xa0) // the data
            mstore(add(at, 0x60), 0xe0) // and the uri
            mstore(add(at, 0x80), 0)
            mstore(add(at, 0xa0), 0x20)
            mstore(add(at, 0xc0), word)
            mstore(add(at, 0xe0), 0)
            log4(at, 0x100, event_, claimId, topic, caller())
        }
    }

    function _checkLength(uint256 length) private pure {
        if (length > MAX_FIELD) revert ClaimTooLong(length);
    }
}
