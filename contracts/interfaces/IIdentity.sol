// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IBatchExecutor} from "./IBatchExecutor.sol";
import {IERC734} from "./IERC734.sol";
import {IERC735} from "./IERC735.sol";

/// @title An on-chain identity: keys, claims, and one adder that the holder can mute
/// @notice The adder is a ClaimIssuer that was named when the identity was made. It may add, update and remove claims that it issued itself,
/// and nothing else. What the holder removes stays removed until the holder allows it again.
interface IIdentity is IBatchExecutor, IERC734, IERC735, IERC165 {
    event AdderMuted(bool muted);
    /// @notice The adder may write this claim again, after the holder had removed it.
    event ClaimAllowed(bytes32 indexed claimId);

    error AdderIsMuted();
    error SenderIsNotAdder();
    error ClaimRemovedByHolder(bytes32 claimId);
    error InitialKeyAlreadySetup();
    error ZeroAddress();

    /// @notice Whether a CLAIM key of this identity has signed (`_identity`, `claimTopic`, `data`). Never reverts.
    /// @dev 65 bytes over the eth_sign form of `keccak256(abi.encode(_identity, claimTopic, data))`; v 27 or 28, low s, key type 1.
    function isClaimValid(address _identity, uint256 claimTopic, bytes calldata sig, bytes calldata data)
        external
        view
        returns (bool);

    /// @notice The signer of `dataHash`, or the zero address for anything but a canonical 65-byte signature.
    function getRecoveredAddress(bytes calldata sig, bytes32 dataHash) external pure returns (address);

    /// @notice The zero address if there is none.
    function adder() external view returns (address);

    function adderMuted() external view returns (bool);

    /// @notice Shuts the adder out, or lets it in again. Only MANAGEMENT.
    /// @dev While it is muted, what it hosts is not shown either.
    function setAdderMuted(bool muted) external;

    /// @notice Lets the adder write a claim that the holder had removed. Only CLAIM or MANAGEMENT keys, never the adder.
    function allowClaim(bytes32 claimId) external;

    /// @notice As many `addClaim`; all of them or none.
    function addClaims(Claim[] calldata claims) external returns (bytes32[] memory claimIds);

    /// @notice Removes the sender's own claim on `topic`: an issuer needs no key for that.
    function removeClaimAsIssuer(uint256 topic) external;

    /// @notice Tells of a claim that the adder hosts: `old` and `word` are the words before and after, zero for none. Only the adder.
    /// @dev Writes nothing: what `getClaim` shows of it is read from the adder.
    function hostedWordChanged(uint256 topic, bytes32 old, bytes32 word) external returns (bool);

    /// @notice Always reverts: the first manager stands in the code of the clone.
    function initialize(address initialManagementKey) external;

    function version() external pure returns (string memory);
}
