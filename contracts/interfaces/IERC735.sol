// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title ERC-735 claim holder, with the names, outputs and events of ONCHAINID 2.2.1
/// @notice At most one claim per issuer and topic; its id is `keccak256(abi.encode(issuer, topic))`.
interface IERC735 {
    struct Claim {
        uint256 topic; // 0 if there is no claim
        uint256 scheme;
        address issuer;
        bytes signature;
        bytes data;
        string uri;
    }

    event ClaimAdded(
        bytes32 indexed claimId,
        uint256 indexed topic,
        uint256 scheme,
        address indexed issuer,
        bytes signature,
        bytes data,
        string uri
    );
    event ClaimRemoved(
        bytes32 indexed claimId,
        uint256 indexed topic,
        uint256 scheme,
        address indexed issuer,
        bytes signature,
        bytes data,
        string uri
    );
    event ClaimChanged(
        bytes32 indexed claimId,
        uint256 indexed topic,
        uint256 scheme,
        address indexed issuer,
        bytes signature,
        bytes data,
        string uri
    );

    error SenderDoesNotHaveClaimSignerKey();
    error ClaimNotRegistered(bytes32 claimId);
    /// @notice The issuer does not vouch for it.
    error InvalidClaim();
    /// @notice Topic 0 stands for "no claim" in `getClaim`.
    error ZeroTopic();
    /// @notice Signature, data and uri may have 2,048 bytes each, so that reading a claim cannot be made too dear.
    error ClaimTooLong(uint256 length);
    /// @notice 50 claims on one topic, not counting the adder's.
    error TooManyClaims(uint256 topic);

    /// @notice Adds a claim, or replaces the one with the same issuer and topic. The issuer is asked whether it is valid.
    /// @dev Only CLAIM or MANAGEMENT keys, or the adder for its own claims. An issuer that is this identity itself needs a valid signature,
    /// or a MANAGEMENT key as the sender.
    /// @return claimRequestId the claim id (named as ONCHAINID does)
    function addClaim(
        uint256 _topic,
        uint256 _scheme,
        address issuer,
        bytes calldata _signature,
        bytes calldata _data,
        string calldata _uri
    ) external returns (bytes32 claimRequestId);

    /// @notice Removes a claim. Only CLAIM or MANAGEMENT keys, or the adder for its own claims.
    function removeClaim(bytes32 _claimId) external returns (bool success);

    /// @notice All zero for an unknown id. Never reverts.
    function getClaim(bytes32 _claimId)
        external
        view
        returns (
            uint256 topic,
            uint256 scheme,
            address issuer,
            bytes memory signature,
            bytes memory data,
            string memory uri
        );

    function getClaimIdsByTopic(uint256 _topic) external view returns (bytes32[] memory claimIds);
}
