// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ClaimSigners} from "./ClaimSigners.sol";
import {IClaimIssuer} from "./interfaces/IClaimIssuer.sol";
import {ClaimTuple} from "./libraries/ClaimTuple.sol";
import {ClaimWord} from "./libraries/ClaimWord.sol";
import {Ids} from "./libraries/Ids.sol";
import {Purposes} from "./libraries/Purposes.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {SignerTerms, SignerTermsLib} from "./libraries/SignerTerms.sol";

/// @title Taking claims back: by (identity, topic), which no holder can dodge, and by signature, as ONCHAINID does
abstract contract ClaimRevoker is IClaimIssuer, ClaimSigners {
    /// @dev The hosted word, or a word that has only the epoch: one slot has the state of (identity, topic), and a revocation replaces all of it.
    mapping(uint256 topic => mapping(address identity => bytes32)) internal _records;
    mapping(bytes32 fingerprint => bool) private _revoked;
    bool private _hasRevoked; // by signature, ever

    /// @inheritdoc IClaimIssuer
    mapping(address operator => bool) public isOperator;

    modifier onlyOperator() {
        _checkOperator();
        _;
    }

    /// @inheritdoc IClaimIssuer
    function setOperator(address operator, bool allowed) external onlyManager {
        if (operator == address(0)) revert ZeroAddress();
        isOperator[operator] = allowed;
        emit OperatorSet(operator, allowed);
    }

    /// @inheritdoc IClaimIssuer
    function revokeSubject(address identity, uint256 topic) external onlyOperator nonReentrant {
        _nextEpoch(identity, topic);
    }

    /// @inheritdoc IClaimIssuer
    function revokeBatch(Revocation[] calldata items) external onlyOperator nonReentrant {
        for (uint256 i = 0; i < items.length; ++i) {
            Revocation calldata item = items[i];
            // In the last epoch nothing is valid, so there is nothing to revoke.
            if (item.epoch == ClaimWord.LAST_EPOCH || epochOf(item.identity, item.topic) != item.epoch) continue;
            _nextEpoch(item.identity, item.topic);
        }
    }

    /// @inheritdoc IClaimIssuer
    function revokeClaimBySignature(bytes calldata signature) external onlyManager {
        if (_isRevoked(signature)) revert ClaimAlreadyRevoked();
        _revoke(signature);
    }

    /// @inheritdoc IClaimIssuer
    function revokeClaim(bytes32 _claimId, address _identity) external onlyManager nonReentrant returns (bool) {
        (bool found, ClaimTuple.Claim memory claim) = ClaimTuple.read(_identity, _claimId);
        if (!found || Ids.claimOf(address(this), claim.topic) != _claimId) {
            revert ClaimNotRegistered(_claimId);
        }
        // A hostile identity could show somebody else's signature: only one that is ours for this very claim is marked.
        if (this.isClaimValid(_identity, claim.topic, claim.signature, claim.data)) _revoke(claim.signature);
        _nextEpoch(_identity, claim.topic);
        return true;
    }

    /// @inheritdoc IClaimIssuer
    function revokedClaims(bytes calldata _sig) external view returns (bool) {
        return _isRevoked(_sig);
    }

    /// @inheritdoc IClaimIssuer
    function isClaimRevoked(bytes calldata _sig) external view returns (bool) {
        return _isRevoked(_sig);
    }

    /// @inheritdoc IClaimIssuer
    function epochOf(address identity, uint256 topic) public view returns (uint16) {
        return ClaimWord.epoch(_records[topic][identity]);
    }

    function _isRevoked(bytes memory signature) internal view returns (bool) {
        return _isMarked(Signatures.fingerprint(signature));
    }

    function _isMarked(bytes32 fingerprint) internal view returns (bool) {
        return _revoked[fingerprint];
    }

    function _checkOperator() private view {
        if (!isOperator[msg.sender] && !_senderHas(Purposes.MANAGEMENT)) revert SenderIsNotOperator();
    }

    /// @dev From the first revocation by signature on, every signer's terms say that signatures must be looked up.
    function _newTerms() internal view override returns (SignerTerms) {
        return _hasRevoked ? SignerTermsLib.LOOK_UP : SignerTerms.wrap(0);
    }

    function _revoke(bytes memory signature) private {
        if (!_hasRevoked) {
            _hasRevoked = true;
            _addToAllTerms(SignerTermsLib.LOOK_UP);
        }
        _revoked[Signatures.fingerprint(signature)] = true;
        emit ClaimRevoked(signature);
    }

    function _nextEpoch(address identity, uint256 topic) private {
        uint16 epoch = epochOf(identity, topic);
        if (epoch == ClaimWord.LAST_EPOCH) revert EpochExhausted();
        _records[topic][identity] = ClaimWord.ofEpoch(++epoch);
        emit SubjectRevoked(identity, topic, epoch);
    }
}
