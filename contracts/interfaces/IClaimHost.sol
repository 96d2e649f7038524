// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title The hosted form (scheme 3): the claim word stands in one slot at the issuer, and the identity reads it through
/// @notice `getClaim` and `getClaimIdsByTopic` of an identity whose adder this is show it, its signature empty; the identity emits ClaimAdded, ClaimChanged
/// and ClaimRemoved. A signed claim of this issuer that stands on the identity itself is shown first, until `withdraw` takes it away.
/// Operators send, claim signers authorise: each batch carries a signature over the EIP-712 struct of its function in the domain {"Claimwright", "1", chainId, this}.
interface IClaimHost {
    /// @notice A word for an identity, or for a wallet whose identity is made if it is absent.
    struct Hosted {
        address subject;
        bytes32 word;
    }

    /// @notice A signer's leave for one batch. Nonces are used in any order, each once.
    struct Authorization {
        uint256 nonce;
        uint256 deadline; // Unix seconds
        bytes signature; // as a claim's: 64 bytes by a key, or a contract's address and its ERC-1271 bytes
    }

    event HostedTopicOpened(uint256 indexed topic);
    event AuthorizationCancelled(address indexed signer, uint256 indexed nonce);

    /// @notice Nobody who may sign claims now has signed this.
    error NotAuthorized();
    error AuthorizationExpired(uint256 deadline);
    error NonceUsed(address signer, uint256 nonce);

    /// @notice Issues or renews. Operator or manager, with `Issue(uint256 topic,bytes32 items,uint256 nonce,uint256 deadline)`, items = keccak256(abi.encode(items)).
    /// @dev A word must be current, of the epoch of (identity, topic), and within the signer's terms. What fails emits ClaimFailed and costs the others
    /// nothing; each identity is called with NOTE_GAS.
    function issue(uint256 topic, Hosted[] calldata items, Authorization calldata authorization) external;

    /// @notice The same for wallets; struct `Onboard(...)` with the same fields.
    function onboardHosted(uint256 topic, Hosted[] calldata items, Authorization calldata authorization) external;

    /// @notice Moves each (identity, topic) to its next epoch, which ends its signed claims too, and takes the hosted word away. Operator or manager, with
    /// `RevokeHosted(uint256 topic,bytes32 items,uint256 nonce,uint256 deadline)`. `revokeBatch` does the same without a signature, and without the
    /// identity's ClaimRemoved.
    function revokeHosted(uint256 topic, address[] calldata identities, Authorization calldata authorization) external;

    /// @notice Removes this issuer's signed claims on `topic` from the identities, which revokes nothing. Operator or manager.
    function withdraw(uint256 topic, address[] calldata identities) external;

    /// @notice Uses up the sender's own nonce, or, as a guardian or manager, anybody's.
    function cancelAuthorization(address signer, uint256 nonce) external;

    function isNonceUsed(address signer, uint256 nonce) external view returns (bool);

    /// @notice The word that stands for a claim id; both zero if there is none. Never reverts.
    function getHosted(address identity, bytes32 claimId) external view returns (uint256 topic, bytes32 word);

    /// @notice Fixed gas of telling an identity.
    function NOTE_GAS() external view returns (uint256);
}
