// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {IIdentity} from "./IIdentity.sol";

/// @title The signers of claims: keys with purpose 3 and type 712 (a private key) or 1271 (a contract), each under terms of its own
/// @notice Terms limit what counts of what a signer has signed, whenever it was signed. A new key has none: it may sign anything. A key of type 1 that
/// is suspended, or under any terms, signs nothing that counts, since the older form does not say when it was issued or ends.
interface IClaimSigners is IIdentity {
    event GuardianSet(address indexed guardian, bool allowed);
    event SignerTermsSet(address indexed signer, uint32 issuedFrom, uint32 issuedUntil, uint16 maxLifeDays);
    event SignerSuspended(address indexed signer);
    event SignerRestored(address indexed signer);

    error SenderIsNotGuardian();

    /// @notice Guardians may suspend signers; nothing else. Manager.
    function setGuardian(address guardian, bool allowed) external;

    function isGuardian(address guardian) external view returns (bool);

    /// @notice Manager. Unix seconds, against the `issuedAt` of a claim; `issuedUntil` 0 is no end. `maxLifeDays` 0 is no limit; with one, a claim
    /// without expiry does not count.
    function setSignerTerms(address signer, uint32 issuedFrom, uint32 issuedUntil, uint16 maxLifeDays) external;

    /// @notice What this signer has signed counts no longer, from this block on. Guardian or manager.
    /// @dev Hosted claims that it has authorised stand until they are revoked.
    function suspendSigner(address signer) external;

    /// @notice Takes a suspension back. Manager only.
    function restoreSigner(address signer) external;

    function signerTerms(address signer)
        external
        view
        returns (uint32 issuedFrom, uint32 issuedUntil, uint16 maxLifeDays, bool suspended);
}
