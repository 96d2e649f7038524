// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ERC7739} from "@openzeppelin/contracts/utils/cryptography/signers/draft-ERC7739.sol";
import {IdentityBase} from "./IdentityBase.sol";
import {IConsent} from "./interfaces/IConsent.sol";
import {Ids} from "./libraries/Ids.sol";
import {NonceMap} from "./libraries/NonceMap.sol";
import {Purposes} from "./libraries/Purposes.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title What the keys of a holder sign: consent to a claim, and messages in the identity's name (ERC-1271)
/// @dev ERC-7739 wraps every ERC-1271 message in a struct that names this identity, so that a key of two identities signs for one of them only.
abstract contract ConsentHolder is IConsent, IdentityBase, ERC7739 {
    using NonceMap for NonceMap.Map;

    bytes32 private constant ADD_CLAIM = keccak256(
        "AddClaim(uint256 topic,uint256 scheme,address issuer,bytes signature,bytes data,string uri,uint256 nonce,uint256 deadline)"
    );

    NonceMap.Map private _nonces;

    constructor() EIP712("Claimwright Identity", "1") {}

    /// @inheritdoc IConsent
    function addClaimBySig(Claim calldata claim, uint256 nonce, uint256 deadline, bytes calldata consent)
        external
        returns (bytes32 claimId)
    {
        if (block.timestamp > deadline) revert ConsentExpired(deadline);
        bytes32 digest = _hashTypedDataV4(
            keccak256(
                abi.encode(
                    ADD_CLAIM,
                    claim.topic,
                    claim.scheme,
                    claim.issuer,
                    keccak256(claim.signature),
                    keccak256(claim.data),
                    keccak256(bytes(claim.uri)),
                    nonce,
                    deadline
                )
            )
        );
        // The adder is no holder, whatever keys it has.
        address signer = Signatures.recover(digest, consent);
        if (signer == adder() || !_mayAct(signer, Purposes.CLAIM)) revert InvalidConsent();
        if (!_nonces.use(nonce)) revert ConsentUsed(nonce);
        return _write(claim, true);
    }

    /// @inheritdoc IConsent
    function cancelConsent(uint256 nonce) external {
        if (msg.sender == adder() || !_senderHas(Purposes.CLAIM)) revert SenderDoesNotHaveClaimSignerKey();
        if (!_nonces.use(nonce)) revert ConsentUsed(nonce);
        emit ConsentCancelled(nonce);
    }

    /// @inheritdoc IConsent
    function isConsentUsed(uint256 nonce) external view returns (bool) {
        return _nonces.isUsed(nonce);
    }

    /// @dev Only MANAGEMENT speaks for the identity: such a message may be worth all that it owns.
    function _rawSignatureValidation(bytes32 hash, bytes calldata signature) internal view override returns (bool) {
        return _mayAct(Signatures.recover(hash, signature), Purposes.MANAGEMENT);
    }

    function _mayAct(address signer, uint256 purpose) private view returns (bool) {
        return signer != address(0) && keyHasPurpose(Ids.keyOf(signer), purpose);
    }
}
