// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title Many ERC-734 executions in one transaction
/// @notice Stands beside IERC734, whose ERC-165 id is that of ONCHAINID's.
interface IBatchExecutor {
    /// @notice One call of a batch.
    struct Call {
        address to;
        uint256 value;
        bytes data;
    }

    /// @notice As many `execute` that may all run at once: one that would have to wait is refused. A call that reverts stops none of the others.
    function executeBatch(Call[] calldata calls) external payable returns (uint256[] memory executionIds);
}
