// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {IERC735} from "./IERC735.sol";

/// @title What a holder agrees to by a signature, so that somebody else may send it
interface IConsent {
    event ConsentCancelled(uint256 indexed nonce);

    error ConsentExpired(uint256 deadline);
    error ConsentUsed(uint256 nonce);
    /// @notice No CLAIM or MANAGEMENT key has signed this.
    error InvalidConsent();

    /// @notice Adds or replaces a claim in the name of the holder, sent by anybody.
    /// @dev `consent` is 65 or 64 bytes (EIP-2098) by a CLAIM or MANAGEMENT key over the EIP-712 struct `AddClaim(uint256 topic,uint256 scheme,address issuer,
    /// bytes signature,bytes data,string uri,uint256 nonce,uint256 deadline)` (no spaces) in the domain {"Claimwright Identity", "1", chainId, this}. It covers the
    /// whole claim and works once. Nonces are used in any order.
    function addClaimBySig(IERC735.Claim calldata claim, uint256 nonce, uint256 deadline, bytes calldata consent)
        external
        returns (bytes32 claimId);

    /// @notice Uses up a nonce. Only CLAIM or MANAGEMENT keys.
    function cancelConsent(uint256 nonce) external;

    function isConsentUsed(uint256 nonce) external view returns (bool);
}
