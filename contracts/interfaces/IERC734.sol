// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title ERC-734 key manager, with the names, outputs and events of ONCHAINID 2.2.1
/// @notice A key is 32 bytes; the key of an address is `keccak256(abi.encode(address))`. Purposes: 1 MANAGEMENT, 2 ACTION,
/// 3 CLAIM (signer), 4 ENCRYPTION; up to 127. A MANAGEMENT key passes for every purpose.
interface IERC734 {
    /// @notice A pending request was approved (or an own one approved itself), or rejected for good.
    event Approved(uint256 indexed executionId, bool approved);
    /// @notice A request ran.
    event Executed(uint256 indexed executionId, address indexed to, uint256 indexed value, bytes data);
    /// @notice A request was made. It runs at once if its sender may approve it, else it waits for `approve`.
    event ExecutionRequested(uint256 indexed executionId, address indexed to, uint256 indexed value, bytes data);
    /// @notice A request ran and its call reverted. It is spent all the same.
    event ExecutionFailed(uint256 indexed executionId, address indexed to, uint256 indexed value, bytes data);
    event KeyAdded(bytes32 indexed key, uint256 indexed purpose, uint256 indexed keyType);
    event KeyRemoved(bytes32 indexed key, uint256 indexed purpose, uint256 indexed keyType);

    error SenderDoesNotHaveManagementKey();
    error SenderDoesNotHaveActionKey();
    error KeyAlreadyHasPurpose(bytes32 key, uint256 purpose);
    error KeyDoesNotHavePurpose(bytes32 key, uint256 purpose);
    error KeyNotRegistered(bytes32 key);
    /// @notice Key 0 and the key of address(0) would make every malformed signature a good one.
    error ZeroKey();
    /// @notice A key has one type; it was registered with another.
    error KeyTypeMismatch(bytes32 key, uint256 keyType);
    error KeyTypeOutOfRange(uint256 keyType);
    error PurposeOutOfRange(uint256 purpose);
    /// @notice Removing it would lock everybody out.
    error LastManagementKey();
    error InvalidRequestId();
    error RequestAlreadyExecuted();
    /// @notice A request that has to wait must not bring ether: it is paid from the identity's balance when it runs.
    error PendingRequestWithValue();

    /// @notice Gives `_key` a purpose. Only MANAGEMENT or the identity itself.
    /// @dev A key that is there already must be named with the type it has.
    function addKey(bytes32 _key, uint256 _purpose, uint256 _keyType) external returns (bool success);

    /// @notice Takes a purpose from `_key`. Only MANAGEMENT or the identity itself; never the last MANAGEMENT key.
    /// @dev Takes effect on claims at once: what a removed CLAIM key has signed is valid no longer.
    function removeKey(bytes32 _key, uint256 _purpose) external returns (bool success);

    /// @notice Calls `_to` from this identity.
    /// @dev MANAGEMENT may call anything; ACTION anything but the identity itself, its adder and its factory. What a MANAGEMENT, ACTION
    /// or CLAIM key may not do alone waits for `approve`; everybody else is refused. A call that reverts emits `ExecutionFailed`; ether
    /// sent along stays with the identity then.
    function execute(address _to, uint256 _value, bytes calldata _data) external payable returns (uint256 executionId);

    /// @notice Approves and runs, or rejects for good, a pending request. At most one run per request.
    /// @return success whether the call ran without reverting; true for a rejection
    function approve(uint256 _id, bool _approve) external returns (bool success);

    /// @notice Empty and zero for an unknown key.
    function getKey(bytes32 _key) external view returns (uint256[] memory purposes, uint256 keyType, bytes32 key);

    function getKeyPurposes(bytes32 _key) external view returns (uint256[] memory _purposes);

    function getKeysByPurpose(uint256 _purpose) external view returns (bytes32[] memory keys);

    /// @notice Whether `_key` has `_purpose`, or MANAGEMENT. Never reverts.
    function keyHasPurpose(bytes32 _key, uint256 _purpose) external view returns (bool exists);
}
