// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title Who may attest which topic; the one address that a contract asks
/// @notice The first eight functions and three events have the ABI of T-REX's ITrustedIssuersRegistry (4.1.6), so that it can be plugged into a token.
interface IClaimIssuerRegistry {
    /// @notice Why a wallet is not verified, or that it is.
    enum Reason {
        VERIFIED,
        NO_IDENTITY,
        NO_CLAIM,
        EXPIRED,
        REVOKED,
        UNTRUSTED_ISSUER, // there are claims on the topic, none of them by an issuer that is trusted for it
        NOT_VALID, // the issuer does not vouch for it, for whatever other reason
        LINKED_LATER // the wallet was linked to the identity after the claim was issued
    }

    /// @notice What people should know of an issuer or a topic; contracts read none of it.
    struct Metadata {
        string name;
        string uri;
        bytes32 contentHash; // of what stands at `uri`: for a topic the schema of its claims
    }

    event TrustedIssuerAdded(address indexed trustedIssuer, uint256[] claimTopics);
    event TrustedIssuerRemoved(address indexed trustedIssuer);
    event ClaimTopicsUpdated(address indexed trustedIssuer, uint256[] claimTopics);
    event FactoryAdded(address indexed factory);
    event FactoryRemoved(address indexed factory);
    event FactoryMoved(address indexed factory, uint256 position);
    event IssuerMetadataSet(address indexed issuer, Metadata metadata);
    event TopicMetadataSet(uint256 indexed topic, Metadata metadata);

    error ZeroAddress();
    error ZeroTopic();
    error TopicRepeated(uint256 topic);
    error NoTopics();
    /// @notice 15 topics per issuer.
    error TooManyTopics();
    /// @notice 50 issuers.
    error TooManyIssuers();
    /// @notice 10 factories.
    error TooManyFactories();
    error IssuerAlreadyTrusted(address issuer);
    error IssuerNotTrusted(address issuer);
    error FactoryAlreadyTrusted(address factory);
    error FactoryNotTrusted(address factory);
    error PositionOutOfRange(uint256 position, uint256 count);

    function addTrustedIssuer(address _trustedIssuer, uint256[] calldata _claimTopics) external;

    /// @notice Takes effect on `isVerified` at once.
    function removeTrustedIssuer(address _trustedIssuer) external;

    /// @notice Replaces the topics of an issuer.
    function updateIssuerClaimTopics(address _trustedIssuer, uint256[] calldata _claimTopics) external;

    function getTrustedIssuers() external view returns (address[] memory);

    function isTrustedIssuer(address _issuer) external view returns (bool);

    function getTrustedIssuerClaimTopics(address _trustedIssuer) external view returns (uint256[] memory);

    function getTrustedIssuersForClaimTopic(uint256 claimTopic) external view returns (address[] memory);

    function hasClaimTopic(address _issuer, uint256 _claimTopic) external view returns (bool);

    /// @notice Trusts a factory to say which wallet has which identity. Asked in the order of adding.
    function addFactory(address factory) external;

    function removeFactory(address factory) external;

    /// @notice Asks the factory at `position` (from 0) from now on; those between there and where it stood move by one.
    function moveFactory(address factory, uint256 position) external;

    function factories() external view returns (address[] memory);

    /// @notice Whether the wallet's identity holds a valid claim on `topic` by a trusted issuer. Never reverts.
    /// @dev A wallet that was linked to the identity later than the claim was issued does not count, unless the identity was made for it.
    function isVerified(address wallet, uint256 topic) external view returns (bool);

    /// @notice Whether an identity made by a trusted factory holds a valid claim on `topic` by a trusted issuer. Never reverts.
    /// @dev The trusted issuer is asked, never the one that the claim names.
    function isVerifiedIdentity(address identity, uint256 topic) external view returns (bool);

    /// @notice Why `isVerified` says what it says: VERIFIED exactly when that is true. Dearer than `isVerified`, for those who can wait; never reverts.
    /// @dev Of several factories the first that knows the wallet has the word, of several issuers the first trusted one of whom there is a claim.
    /// EXPIRED and REVOKED are read from the claim word; REVOKED also from `isClaimRevoked`, and when a claim was revoked and there is none now.
    function verificationOf(address wallet, uint256 topic) external view returns (Reason);

    /// @notice Likewise for `isVerifiedIdentity`. NO_IDENTITY: no trusted factory made it.
    function verificationOfIdentity(address identity, uint256 topic) external view returns (Reason);

    function setIssuerMetadata(address issuer, Metadata calldata metadata) external;

    function setTopicMetadata(uint256 topic, Metadata calldata metadata) external;

    function issuerMetadata(address issuer) external view returns (Metadata memory);

    function topicMetadata(uint256 topic) external view returns (Metadata memory);

    /// @notice A page of the trusted issuers, and how many there are. The order changes when one is removed.
    function trustedIssuers(uint256 offset, uint256 limit) external view returns (address[] memory page, uint256 total);

    /// @notice Likewise for those that are trusted for the topic.
    function trustedIssuersFor(uint256 topic, uint256 offset, uint256 limit)
        external
        view
        returns (address[] memory page, uint256 total);

    /// @notice A page of the factories in the order in which they are asked, and how many there are.
    function trustedFactories(uint256 offset, uint256 limit)
        external
        view
        returns (address[] memory page, uint256 total);
}
