// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {TrustLists} from "./TrustLists.sol";
import {IClaimIssuer} from "./interfaces/IClaimIssuer.sol";
import {IClaimIssuerRegistry} from "./interfaces/IClaimIssuerRegistry.sol";
import {IERC735} from "./interfaces/IERC735.sol";
import {IIdFactory} from "./interfaces/IIdFactory.sol";
import {IIdentity} from "./interfaces/IIdentity.sol";
import {IIdentityFactory} from "./interfaces/IIdentityFactory.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {ClaimTuple} from "./libraries/ClaimTuple.sol";
import {ClaimWord} from "./libraries/ClaimWord.sol";
import {Ids} from "./libraries/Ids.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title Whether a wallet holds a claim by an issuer that is trusted for its topic
contract ClaimIssuerRegistry is TrustLists {
    using EnumerableSet for EnumerableSet.AddressSet;

    uint256 private constant FACTORY_GAS = 60_000;
    uint256 private constant VALIDITY_GAS = 150_000;
    uint256 private constant LIST_GAS = 400_000;
    uint256 private constant MAX_LIST = 64 + 51 * 32;

    constructor(address owner_) Ownable(owner_) {}

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
        return _isVouchedFor(identity) && _holdsClaim(identity, topic, 0);
    }

    /// @inheritdoc IClaimIssuerRegistry
    function verificationOf(address wallet, uint256 topic) external view returns (Reason reason) {
        for (uint256 i = 0; i < _factories.length; ++i) {
            address factory = _factories[i];
            address identity = _identityOf(factory, wallet);
            if (identity == address(0)) continue;
            (bool linked, uint256 since) = _countsSince(factory, wallet);
            if (linked && _holdsClaim(identity, topic, since)) return Reason.VERIFIED;
            if (reason == Reason.VERIFIED) reason = _whyNot(identity, topic, since); // the first factory's word
        }
        if (reason == Reason.VERIFIED) return Reason.NO_IDENTITY;
    }

    /// @inheritdoc IClaimIssuerRegistry
    function verificationOfIdentity(address identity, uint256 topic) external view returns (Reason) {
        if (!_isVouchedFor(identity)) return Reason.NO_IDENTITY;
        return _holdsClaim(identity, topic, 0) ? Reason.VERIFIED : _whyNot(identity, topic, 0);
    }

    /// @dev Whether a trusted factory made the identity.
    function _isVouchedFor(address identity) private view returns (bool) {
        bytes memory question = abi.encodeCall(IIdentityFactory.isIdentity, (identity));
        for (uint256 i = 0; i < _factories.length; ++i) {
            if (BoundedCall.isTrue(_factories[i], FACTORY_GAS, question)) return true;
        }
        return false;
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
            (bool found, ClaimTuple.Claim memory claim) = ClaimTuple.read(identity, Ids.claimOf(issuer, topic));
            if (!found || claim.topic != topic || claim.issuer != issuer || _issuedAt(claim) < since) continue;
            if (_isValid(issuer, identity, topic, claim)) return true;
        }
        return false;
    }

    function _isValid(address issuer, address identity, uint256 topic, ClaimTuple.Claim memory claim)
        private
        view
        returns (bool)
    {
        bytes memory question = abi.encodeCall(IIdentity.isClaimValid, (identity, topic, claim.signature, claim.data));
        return BoundedCall.isTrue(issuer, VALIDITY_GAS, question);
    }

    /// @dev Of an identity without a claim that counts. The first trusted issuer of whom it holds a claim has the word; without one, a revocation
    /// says more than that there is nothing.
    function _whyNot(address identity, uint256 topic, uint256 since) private view returns (Reason reason) {
        EnumerableSet.AddressSet storage issuers = _issuersFor[topic];
        reason = _holdsOthers(identity, topic) ? Reason.UNTRUSTED_ISSUER : Reason.NO_CLAIM;
        for (uint256 i = 0; i < issuers.length(); ++i) {
            address issuer = issuers.at(i);
            (bool found, ClaimTuple.Claim memory claim) = ClaimTuple.read(identity, Ids.claimOf(issuer, topic));
            if (found && claim.topic == topic && claim.issuer == issuer) {
                return _whyNotThis(issuer, identity, topic, since, claim);
            }
            if (_epochOf(issuer, identity, topic) != 0) reason = Reason.REVOKED; // a hosted claim that is revoked is not there any more
        }
    }

    /// @dev Of a claim that does not count. Revoked comes first, as a revoked claim stays so whatever the time.
    function _whyNotThis(address issuer, address identity, uint256 topic, uint256 since, ClaimTuple.Claim memory claim)
        private
        view
        returns (Reason)
    {
        if (_isRevoked(issuer, identity, topic, claim)) return Reason.REVOKED;
        uint256 end = _hasWord(claim) ? ClaimWord.expiresAt(bytes32(claim.data)) : 0;
        if (end != 0 && block.timestamp >= end) return Reason.EXPIRED;
        return
            _issuedAt(claim) < since && _isValid(issuer, identity, topic, claim)
                ? Reason.LINKED_LATER
                : Reason.NOT_VALID;
    }

    /// @dev By the epoch of (identity, topic), which is 0 in all that has no word, or as ONCHAINID by the signature.
    function _isRevoked(address issuer, address identity, uint256 topic, ClaimTuple.Claim memory claim)
        private
        view
        returns (bool)
    {
        uint256 epoch = _hasWord(claim) ? ClaimWord.epoch(bytes32(claim.data)) : 0;
        if (epoch < _epochOf(issuer, identity, topic)) return true;
        bytes memory question = abi.encodeCall(IClaimIssuer.isClaimRevoked, (claim.signature));
        return BoundedCall.isTrue(issuer, VALIDITY_GAS, question);
    }

    /// @dev 0 of an issuer that knows no epochs.
    function _epochOf(address issuer, address identity, uint256 topic) private view returns (uint256 epoch) {
        bytes memory question = abi.encodeCall(IClaimIssuer.epochOf, (identity, topic));
        (, epoch) = BoundedCall.readWord(issuer, VALIDITY_GAS, question);
    }

    /// @dev Whether the identity lists any claim on the topic.
    function _holdsOthers(address identity, uint256 topic) private view returns (bool) {
        bytes memory question = abi.encodeCall(IERC735.getClaimIdsByTopic, (topic));
        (bool success, bytes memory answer) = BoundedCall.read(identity, LIST_GAS, MAX_LIST, question);
        return success && answer.length > 64; // offset, length, and an id
    }

    /// @dev 0 where the claim does not say: it then counts for the identity's first wallet only.
    function _issuedAt(ClaimTuple.Claim memory claim) private pure returns (uint256) {
        return _hasWord(claim) ? ClaimWord.issuedAt(bytes32(claim.data)) : 0;
    }

    /// @dev Of the forms whose data is a claim word: all but ONCHAINID's.
    function _hasWord(ClaimTuple.Claim memory claim) private pure returns (bool) {
        return claim.signature.length != Signatures.FULL && claim.data.length == 32
            && ClaimWord.layoutOf(bytes32(claim.data)) == ClaimWord.LAYOUT;
    }
}
