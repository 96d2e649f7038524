// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {IClaimHost} from "./IClaimHost.sol";
import {IClaimSigners} from "./IClaimSigners.sol";

/// @title The issuing identity: says what is valid, revokes by (identity, topic), makes identities and adds claims in batches
/// @notice Signed form: `data` is the claim word (32 bytes, see ClaimWord), `signature` 64 bytes r|vs (EIP-2098) over the EIP-712 struct
/// `Claim(address identity,uint256 topic,bytes32 word)` in the domain {"Claimwright", "1", chainId, this}, by a key of type 712 with purpose 3.
/// Legacy form: 65 bytes as ONCHAINID, by a key of type 1, and only for an (identity, topic) that was never revoked.
/// Contract signers: `data` is the claim word, `signature` the contract's address and what its ERC-1271 function takes, together more than 65 bytes.
/// Hosted form: `data` is the word that stands here, `signature` empty (IClaimHost).
/// The epoch of (identity, topic) counts its revocations; a word is valid only in the epoch that it names.
interface IClaimIssuer is IClaimSigners, IClaimHost {
    /// @notice A claim to be added; its issuer is this contract.
    struct ClaimInput {
        uint256 topic;
        uint256 scheme;
        bytes signature;
        bytes data;
        string uri;
    }

    /// @notice Claims for a wallet whose identity is made if it is absent.
    struct Onboarding {
        address wallet;
        ClaimInput[] claims;
    }

    /// @notice A claim for an identity made elsewhere.
    struct Addition {
        address identity;
        ClaimInput claim;
    }

    /// @notice A revocation of what was issued in `epoch`.
    struct Revocation {
        address identity;
        uint256 topic;
        uint16 epoch;
    }

    event ClaimRevoked(bytes indexed signature);
    /// @param epoch the new one
    event SubjectRevoked(address indexed identity, uint256 indexed topic, uint16 epoch);
    /// @param item its index in the batch; topic 0 if an item without claims failed
    event ClaimFailed(address indexed identity, uint256 indexed topic, uint256 item);
    event OperatorSet(address indexed operator, bool allowed);

    error SenderIsNotOperator();
    error ClaimAlreadyRevoked();
    /// @notice 65,535 revocations of one (identity, topic): nothing is valid there any more.
    error EpochExhausted();
    /// @notice Too little gas left for the fixed gas of the next call: the whole batch reverts, since a call that was starved is not a failed one.
    error NotEnoughGas();

    /// @notice Makes absent identities and adds the claims. Manager or operator.
    /// @dev Each call has a fixed gas: CREATE_GAS, and CLAIM_GAS + CLAIM_WORD_GAS for each 32 bytes of signature, data and uri. What fails emits
    /// ClaimFailed and costs the others nothing.
    function onboard(Onboarding[] calldata items) external;

    /// @notice Adds claims to identities made elsewhere, which gave this contract a CLAIM key. Manager or operator; rules as `onboard`.
    function addClaimsTo(Addition[] calldata items) external;

    /// @notice Revokes all claims of (identity, topic), whatever their bytes. Manager or operator.
    function revokeSubject(address identity, uint256 topic) external;

    /// @notice Revokes each (identity, topic) that is still in the epoch named, and skips the others, so that a repeat does nothing. Manager or operator.
    function revokeBatch(Revocation[] calldata items) external;

    /// @notice Revokes one signature in all its encodings (65 or 64 bytes, either s). Manager.
    function revokeClaimBySignature(bytes calldata signature) external;

    /// @notice Revokes (identity, topic of that claim), and marks the signature if this contract made it. Manager.
    /// @dev The identity only names the topic, checked against the claim id; the bytes that it shows decide nothing. If it shows none use `revokeSubject`.
    function revokeClaim(bytes32 _claimId, address _identity) external returns (bool);

    function isClaimRevoked(bytes calldata _sig) external view returns (bool);

    /// @notice As isClaimRevoked, under ONCHAINID's other name.
    function revokedClaims(bytes calldata _sig) external view returns (bool);

    function epochOf(address identity, uint256 topic) external view returns (uint16);

    /// @notice What a CLAIM key of type 712 signs.
    function claimDigest(address identity, uint256 topic, bytes32 word) external view returns (bytes32);

    /// @notice Operators may onboard, addClaimsTo, revokeSubject and revokeBatch; nothing else. Manager.
    function setOperator(address operator, bool allowed) external;

    function isOperator(address operator) external view returns (bool);

    function factory() external view returns (address);

    /// @notice Fixed gas of one `createFor`.
    function CREATE_GAS() external view returns (uint256);

    /// @notice Fixed gas of one `addClaim`, without its bytes.
    function CLAIM_GAS() external view returns (uint256);

    /// @notice Gas for each 32 bytes, begun ones included, of a claim's signature, data and uri.
    function CLAIM_WORD_GAS() external view returns (uint256);
}
