// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ClaimRevoker} from "./ClaimRevoker.sol";
import {IClaimHost} from "./interfaces/IClaimHost.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {ClaimWord} from "./libraries/ClaimWord.sol";
import {Ids} from "./libraries/Ids.sol";
import {NonceMap} from "./libraries/NonceMap.sol";
import {Purposes} from "./libraries/Purposes.sol";
import {SignerTerms} from "./libraries/SignerTerms.sol";

/// @title Claims kept here, one word each, and shown by the identities
abstract contract ClaimHost is ClaimRevoker, EIP712 {
    using NonceMap for NonceMap.Map;

    bytes32 private constant ISSUE = keccak256("Issue(uint256 topic,bytes32 items,uint256 nonce,uint256 deadline)");
    bytes32 private constant ONBOARD = keccak256("Onboard(uint256 topic,bytes32 items,uint256 nonce,uint256 deadline)");
    bytes32 private constant REVOKE =
        keccak256("RevokeHosted(uint256 topic,bytes32 items,uint256 nonce,uint256 deadline)");

    /// @inheritdoc IClaimHost
    uint256 public constant NOTE_GAS = 50_000;
    uint256 private constant WITHDRAW_GAS = 1_000_000;

    mapping(bytes32 claimId => uint256 topic) private _topics; // of those that were ever hosted
    mapping(address signer => NonceMap.Map) private _nonces;

    /// @inheritdoc IClaimHost
    function issue(uint256 topic, Hosted[] calldata items, Authorization calldata authorization)
        external
        onlyOperator
        nonReentrant
    {
        SignerTerms terms = _authorize(ISSUE, topic, _hashOf(items), authorization);
        _openTopic(topic);
        mapping(address => bytes32) storage records = _records[topic];
        bytes memory note = _noteOn(topic);
        for (uint256 i = 0; i < items.length; ++i) {
            Hosted calldata item = items[i];
            if (!_host(records, item.subject, item.word, terms, note)) _fail(item.subject, topic, i);
        }
    }

    /// @inheritdoc IClaimHost
    function onboardHosted(uint256 topic, Hosted[] calldata items, Authorization calldata authorization)
        external
        onlyOperator
        nonReentrant
    {
        SignerTerms terms = _authorize(ONBOARD, topic, _hashOf(items), authorization);
        _openTopic(topic);
        mapping(address => bytes32) storage records = _records[topic];
        bytes memory note = _noteOn(topic);
        for (uint256 i = 0; i < items.length; ++i) {
            (address identity, bool exists) = _identityFor(items[i].subject);
            if (!exists || !_host(records, identity, items[i].word, terms, note)) _fail(identity, topic, i);
        }
    }

    /// @inheritdoc IClaimHost
    function revokeHosted(uint256 topic, address[] calldata identities, Authorization calldata authorization)
        external
        onlyOperator
        nonReentrant
    {
        _authorize(REVOKE, topic, _hashOf(identities), authorization);
        mapping(address => bytes32) storage records = _records[topic];
        bytes memory note = _noteOn(topic);
        for (uint256 i = 0; i < identities.length; ++i) {
            address identity = identities[i];
            bytes32 old = records[identity];
            uint16 epoch = ClaimWord.epoch(old);
            if (epoch == ClaimWord.LAST_EPOCH) continue; // nothing is valid there
            records[identity] = ClaimWord.ofEpoch(++epoch);
            if (ClaimWord.layoutOf(old) != ClaimWord.LAYOUT || !_send(note, identity, old, bytes32(0))) {
                emit SubjectRevoked(identity, topic, epoch);
            }
        }
    }

    /// @inheritdoc IClaimHost
    function withdraw(uint256 topic, address[] calldata identities) external onlyOperator nonReentrant {
        bytes memory call = abi.encodeCall(IIdentity.removeClaimAsIssuer, (topic));
        for (uint256 i = 0; i < identities.length; ++i) {
            if (!_send(identities[i], WITHDRAW_GAS, call)) _fail(identities[i], topic, i);
        }
    }

    /// @inheritdoc IClaimHost
    function cancelAuthorization(address signer, uint256 nonce) external {
        if (msg.sender != signer && !isGuardian[msg.sender] && !_senderHas(Purposes.MANAGEMENT)) {
            revert SenderIsNotGuardian();
        }
        if (!_nonces[signer].use(nonce)) revert NonceUsed(signer, nonce);
        emit AuthorizationCancelled(signer, nonce);
    }

    /// @inheritdoc IClaimHost
    function isNonceUsed(address signer, uint256 nonce) external view returns (bool) {
        return _nonces[signer].isUsed(nonce);
    }

    /// @inheritdoc IClaimHost
    function getHosted(address identity, bytes32 claimId) external view returns (uint256 topic, bytes32 word) {
        topic = _topics[claimId];
        word = _records[topic][identity];
        if (topic == 0 || ClaimWord.layoutOf(word) != ClaimWord.LAYOUT) return (0, 0);
    }

    /// @dev The identity of a wallet, made if it is absent; the address where it would be if that fails.
    function _identityFor(address wallet) internal virtual returns (address identity, bool exists);

    function _fail(address identity, uint256 topic, uint256 item) internal {
        emit ClaimFailed(identity, topic, item);
    }

    function _send(address target, uint256 gasLimit, bytes memory data) internal returns (bool) {
        if (!BoundedCall.canAfford(gasLimit)) revert NotEnoughGas();
        return BoundedCall.send(target, gasLimit, data);
    }

    /// @dev Not if it is muted, removed by the holder, or no identity that reads from here. Nothing that writes a record can be reached from within the call.
    function _host(
        mapping(address => bytes32) storage records,
        address identity,
        bytes32 word,
        SignerTerms terms,
        bytes memory note
    ) private returns (bool) {
        bytes32 old = records[identity];
        if (!ClaimWord.isCurrent(word, ClaimWord.epoch(old), block.timestamp)) return false;
        if (!terms.admits(word, block.timestamp)) return false;
        if (!_send(note, identity, ClaimWord.layoutOf(old) == ClaimWord.LAYOUT ? old : bytes32(0), word)) return false;
        records[identity] = word;
        return true;
    }

    /// @dev The call that tells an identity of its word, made once for a batch; `_send` fills in the words.
    function _noteOn(uint256 topic) private pure returns (bytes memory) {
        return abi.encodeCall(IIdentity.hostedWordChanged, (topic, bytes32(0), bytes32(0)));
    }

    function _send(bytes memory note, address identity, bytes32 old, bytes32 word) private returns (bool) {
        assembly ("memory-safe") {
            mstore(add(note, 0x44), old) // behind its length, the selector and the topic
            mstore(add(note, 0x64), word)
        }
        return _send(identity, NOTE_GAS, note);
    }

    function _authorize(bytes32 kind, uint256 topic, bytes32 items, Authorization calldata authorization)
        private
        returns (SignerTerms terms)
    {
        (uint256 nonce, uint256 deadline) = (authorization.nonce, authorization.deadline);
        if (block.timestamp > deadline) revert AuthorizationExpired(deadline);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(kind, topic, items, nonce, deadline)));
        address signer;
        (signer, terms) = _signerOf(digest, authorization.signature);
        if (signer == address(0) || terms.isSuspended()) revert NotAuthorized();
        if (!_nonces[signer].use(nonce)) revert NonceUsed(signer, nonce);
    }

    function _hashOf(Hosted[] calldata items) private pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := items.offset
        }
        return _hashOf(offset, items.length, 0x40);
    }

    function _hashOf(address[] calldata items) private pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := items.offset
        }
        return _hashOf(offset, items.length, 0x20);
    }

    /// @dev keccak256(abi.encode(items)), whose content is what the calldata has: only its offset and length stand before it. The compiler has checked
    /// that all of it is there, and checks each address when it is read.
    function _hashOf(uint256 offset, uint256 count, uint256 size) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore(at, 0x20)
            mstore(add(at, 0x20), count)
            calldatacopy(add(at, 0x40), offset, mul(count, size))
            hash := keccak256(at, add(0x40, mul(count, size)))
        }
    }

    function _openTopic(uint256 topic) private {
        if (topic == 0) revert ZeroTopic();
        bytes32 claimId = Ids.claimOf(address(this), topic);
        if (_topics[claimId] != 0) return;
        _topics[claimId] = topic;
        emit HostedTopicOpened(topic);
    }
}
