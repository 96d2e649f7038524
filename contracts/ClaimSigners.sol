// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IdentityBase} from "./IdentityBase.sol";
import {IClaimSigners} from "./interfaces/IClaimSigners.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {Ids} from "./libraries/Ids.sol";
import {KeyTypes, Purposes} from "./libraries/Purposes.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {SignerTerms, SignerTermsLib} from "./libraries/SignerTerms.sol";

/// @title The keys that sign claim words, and under which terms
abstract contract ClaimSigners is IClaimSigners, IdentityBase {
    uint256 private constant SIGNER_GAS = 100_000;

    /// @inheritdoc IClaimSigners
    mapping(address guardian => bool) public isGuardian;

    /// @inheritdoc IClaimSigners
    function setGuardian(address guardian, bool allowed) external onlyManager {
        if (guardian == address(0)) revert ZeroAddress();
        isGuardian[guardian] = allowed;
        emit GuardianSet(guardian, allowed);
    }

    /// @inheritdoc IClaimSigners
    function setSignerTerms(address signer, uint32 issuedFrom, uint32 issuedUntil, uint16 maxLifeDays)
        external
        onlyManager
    {
        SignerTerms terms = SignerTermsLib.pack(issuedFrom, issuedUntil, maxLifeDays);
        _setTerms(Ids.keyOf(signer), terms.flaggedAs(_termsOf(signer)));
        emit SignerTermsSet(signer, issuedFrom, issuedUntil, maxLifeDays);
    }

    /// @inheritdoc IClaimSigners
    function suspendSigner(address signer) external {
        if (!isGuardian[msg.sender] && !_senderHas(Purposes.MANAGEMENT)) revert SenderIsNotGuardian();
        _setTerms(Ids.keyOf(signer), _termsOf(signer).suspended());
        emit SignerSuspended(signer);
    }

    /// @inheritdoc IClaimSigners
    function restoreSigner(address signer) external onlyManager {
        _setTerms(Ids.keyOf(signer), _termsOf(signer).restored());
        emit SignerRestored(signer);
    }

    /// @inheritdoc IClaimSigners
    function signerTerms(address signer)
        external
        view
        returns (uint32 issuedFrom, uint32 issuedUntil, uint16 maxLifeDays, bool suspended)
    {
        SignerTerms terms = _termsOf(signer);
        return (terms.issuedFrom(), terms.issuedUntil(), terms.maxLifeDays(), terms.isSuspended());
    }

    /// @dev The signer of `digest` and its terms, if it is one of ours: 64 bytes by a key of type 712, or more than 65 by a contract of type 1271, whose
    /// address they begin with. Never reverts.
    function _signerOf(bytes32 digest, bytes calldata signature) internal view returns (address, SignerTerms) {
        (address signer, uint256 keyType) = signature.length > Signatures.FULL
            ? (_contractSigner(digest, signature), KeyTypes.CONTRACT)
            : (Signatures.recoverCompact(digest, signature), KeyTypes.CLAIMWRIGHT);
        (bool found, SignerTerms terms) = _isKeyFor(Ids.keyOf(signer), Purposes.CLAIM, keyType);
        return (found ? signer : address(0), terms);
    }

    function _termsOf(address signer) internal view returns (SignerTerms) {
        return _termsOfKey(Ids.keyOf(signer));
    }

    function _contractSigner(bytes32 digest, bytes calldata signature) private view returns (address signer) {
        signer = address(bytes20(signature));
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (digest, signature[20:]));
        (, uint256 answer) = BoundedCall.readWord(signer, SIGNER_GAS, question);
        if (bytes32(answer) != bytes32(IERC1271.isValidSignature.selector)) return address(0);
    }
}
